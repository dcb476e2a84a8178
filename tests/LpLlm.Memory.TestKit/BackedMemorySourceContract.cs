using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What a <see cref="IMemorySource"/> must do beyond <see cref="MemorySourceContract"/> when its regions are real memory.</summary>
public abstract class BackedMemorySourceContract : MemorySourceContract
{
    [SkippableFact]
    public async Task Region_EveryByte_IsZeroAndWritable()
    {
        using var region = await Create().ReserveAsync(4 * MiB).DefaultTimeout();
        var bytes = AsSpan(region);

        bytes.IndexOfAnyExcept((byte)0).Should().Be(-1);
        bytes.Fill(0xA5);
        bytes.IndexOfAnyExcept((byte)0xA5).Should().Be(-1);
    }

    protected static unsafe Span<byte> AsSpan(MemoryRegion region) => new((void*)region.Address, checked((int)region.LengthBytes));
}
