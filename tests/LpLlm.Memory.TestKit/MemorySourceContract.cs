using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What every <see cref="IMemorySource"/> must do. Inherit it and say how to create one; skip there what this machine lacks.</summary>
public abstract class MemorySourceContract
{
    protected const long MiB = 1 << 20;

    protected abstract IMemorySource Create();

    [SkippableFact]
    public async Task Reserve_GivesAnAlignedRegionOfAtLeastTheLength()
    {
        using var region = await Create().ReserveAsync(3 * MiB).DefaultTimeout();

        region.LengthBytes.Should().BeGreaterThanOrEqualTo(3 * MiB);
        (region.Address % (nint)(2 * MiB)).Should().Be(0);
        region.Capabilities.Should().Be(Create().Capabilities);
    }

    [SkippableFact]
    public async Task Reserve_OneByte_Works()
    {
        using var region = await Create().ReserveAsync(1).DefaultTimeout();

        region.LengthBytes.Should().BeGreaterThanOrEqualTo(1);
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task Reserve_LengthBelowOne_Throws(long lengthBytes)
    {
        var act = async () => await Create().ReserveAsync(lengthBytes).DefaultTimeout();

        await act.Should().ThrowAsync<ArgumentOutOfRangeException>();
    }

    [SkippableFact]
    public async Task Reserve_TwoRegions_DoNotOverlap()
    {
        var source = Create();
        using var a = await source.ReserveAsync(4 * MiB).DefaultTimeout();
        using var b = await source.ReserveAsync(4 * MiB).DefaultTimeout();

        var distance = Math.Abs(a.Address - b.Address);

        distance.Should().BeGreaterThanOrEqualTo((nint)(4 * MiB));
    }

    [SkippableFact]
    public async Task Reserve_CancelledToken_Throws()
    {
        var act = async () => await Create().ReserveAsync(MiB, null, new CancellationToken(true)).DefaultTimeout();

        await act.Should().ThrowAsync<OperationCanceledException>();
    }

    [SkippableFact]
    public async Task Reserve_ReportsProgressUpToTheWholeLength()
    {
        var reports = new List<long>();
        using var region = await Create().ReserveAsync(4 * MiB, new ListProgress(reports)).DefaultTimeout();

        reports.Should().NotBeEmpty().And.BeInAscendingOrder();
        reports[^1].Should().BeGreaterThanOrEqualTo(4 * MiB);
    }

    [SkippableFact]
    public async Task Dispose_Twice_IsANoOp()
    {
        var region = await Create().ReserveAsync(MiB).DefaultTimeout();
        region.Dispose();

        region.Invoking(r => r.Dispose()).Should().NotThrow();
    }

    private sealed class ListProgress(List<long> reports) : IProgress<long>
    {
        public void Report(long value)
        {
            lock (reports)
            {
                reports.Add(value);
            }
        }
    }
}
