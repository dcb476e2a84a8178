using LpLlm.Memory.Server;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Tests.Sources;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Segments on reserved huge pages, and holes in them. Skipped where none can be reserved; the same on ordinary pages: <see cref="HostSegmentSourceTests"/>.</summary>
[Collection(WholeMachine.Name)]
public sealed class HostSegmentHugePageTests : IClassFixture<ReservedHugePages>
{
    private const long MiB = 1 << 20;
    private const long Length = 8 * MiB;

    private readonly HostSegmentSource _source = new(new HostMemorySettings { HugePages = HugePageMode.Require }, NullLogger.Instance, new FakePinner());

    public HostSegmentHugePageTests(ReservedHugePages pages) => pages.SkipIfMissing();

    [SkippableFact]
    public async Task Clear_ZeroesEveryByteAndKeepsThePages()
    {
        var segment = await CreateAsync();
        Bytes(segment).Fill(0xA5);

        await segment.ClearAsync().DefaultTimeout();

        Bytes(segment).IndexOfAnyExcept((byte)0).Should().Be(-1);
        MemoryFileStatus.Read(segment.File!).AllocatedBytes.Should().Be(Length);
        await segment.DiscardAsync(freesPages: true).DefaultTimeout();
    }

    /// <summary>To fill the hole again would take a page out of the reserve that nobody has asked for, or be the server's end where there is none.</summary>
    [SkippableTheory]
    [InlineData(0, 2 * MiB)]
    [InlineData(6 * MiB, 2 * MiB)]
    [InlineData(0, Length)]
    public async Task Clear_OfAFileThatAClientTookPagesOutOf_IsRefusedAndFillsNone(long offset, long lengthBytes)
    {
        var segment = await CreateAsync();
        Punch(segment.File!, offset, lengthBytes);

        await FluentActions.Awaiting(() => segment.ClearAsync().AsTask().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        MemoryFileStatus.Read(segment.File!).AllocatedBytes.Should().Be(Length - lengthBytes);
        await segment.DiscardAsync(freesPages: true).DefaultTimeout();
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Discard_FreesThePagesUnderAHolderOnlyIfAskedTo(bool freesPages)
    {
        var segment = await CreateAsync();
        Bytes(segment).Fill(1);
        using var holder = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite);

        await segment.DiscardAsync(freesPages).DefaultTimeout();

        MemoryFileStatus.Read(holder).AllocatedBytes.Should().Be(freesPages ? 0 : Length, "pages go back to the reserve, not to their last holder");
        MemoryFileStatus.Read(holder).LengthBytes.Should().Be(Length);
    }

    [SkippableFact]
    public async Task Adopt_KeepsTheBytes_AndRefusesAFileWithHoles()
    {
        var segment = await CreateAsync();
        Bytes(segment).Fill(0x5A);
        segment.Seal(readOnly: false); // as before a client gets it
        var whole = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite);
        using var holed = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite);
        await segment.DiscardAsync(freesPages: false).DefaultTimeout();

        var adopted = await _source.AdoptAsync(whole, Length, default).DefaultTimeout();

        Bytes(adopted).IndexOfAnyExcept((byte)0x5A).Should().Be(-1);
        await adopted.DiscardAsync(freesPages: false).DefaultTimeout();
        Punch(holed, 4 * MiB, 2 * MiB);
        (await FluentActions.Awaiting(() => _source.AdoptAsync(holed, Length, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>()).Which.Message.Should().Contain("holes");
        MemoryFileStatus.Read(holed).AllocatedBytes.Should().Be(6 * MiB);
    }

    private static void Punch(SafeFileHandle file, long offset, long lengthBytes) =>
        Libc.Allocate(file, Libc.AllocateKeepSize | Libc.AllocatePunchHole, offset, lengthBytes).Should().Be(0);

    private static unsafe Span<byte> Bytes(Segment segment) => new((void*)segment.Address, checked((int)segment.LengthBytes));

    private async Task<Segment> CreateAsync()
    {
        var segment = await _source.CreateAsync(Length, default).DefaultTimeout();
        MappedRange.Find(segment.Address)!.KernelPageBytes.Should().Be(2 * MiB, "else the test is of something else");
        return segment;
    }
}
