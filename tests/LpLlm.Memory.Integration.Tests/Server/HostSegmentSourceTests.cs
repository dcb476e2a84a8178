using LpLlm.Memory.Server;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Tests.Sources;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Server;

public partial class HostSegmentSourceTests
{
    private const long MiB = 1 << 20;

    private readonly FakePinner _pinner = new();

    [Fact]
    public async Task S3_Create_IsASealedPrivateZeroedFileThatIsPinnedItself()
    {
        await using var owner = new Owner(await Source().CreateAsync(3 * MiB, default).DefaultTimeout());
        var segment = owner.Segment;

        segment.LengthBytes.Should().Be(4 * MiB, "segments are multiples of 2 MiB");
        segment.IsPageLocked.Should().BeTrue();
        _pinner.Pinned.Should().Equal(new Dictionary<nint, long> { [segment.Address] = 4 * MiB });
        (segment.Address % (2 << 20)).Should().Be(0);
        var status = MemoryFileStatus.Read(segment.File!);
        status.IsSealed.Should().BeFalse("whether others may write is decided when it is given away");
        (status.Seals & (Libc.SealShrink | Libc.SealGrow)).Should().Be(Libc.SealShrink | Libc.SealGrow);
        segment.Seal(readOnly: false);
        segment.Seal(readOnly: true);
        MemoryFileStatus.Read(segment.File!).IsSealed.Should().BeTrue("the first call decides");
        status.Inode.Should().Be(segment.Inode).And.NotBe(0);
        status.LengthBytes.Should().Be(4 * MiB);
        status.AllocatedBytes.Should().Be(4 * MiB, "every page is there");
        Bytes(segment).IndexOfAnyExcept((byte)0).Should().Be(-1);
    }

    [Fact]
    public async Task Create_AClientsMappingIsOnTheServersHugePages()
    {
        await using var owner = new Owner(await Source().CreateAsync(64 * MiB, default).DefaultTimeout());
        using var range = new LinuxAddressRange(128 * MiB);
        var address = range.Take(64 * MiB);

        LinuxAddressRange.Map(owner.Segment.File!, address, 64 * MiB);

        Bytes(owner.Segment).Fill(1);
        IsFilled(address, 64 * MiB, 1).Should().BeTrue();
        var inServer = MappedRange.Find(owner.Segment.Address)!.ReadBytes("ShmemPmdMapped");
        MappedRange.Find(address)!.ReadBytes("ShmemPmdMapped").Should().Be(inServer, "addresses of 2 MiB are all that it takes");
        range.Return(address, 64 * MiB);
    }

    /// <summary>What a client could try with the descriptor of a model, as the server's own user: the server alone writes, through its own mapping.</summary>
    [Fact]
    public async Task Seal_ReadOnly_NobodyWritesAnyMore_ButTheServersMapping()
    {
        await using var owner = new Owner(await Source().CreateAsync(2 * MiB, default).DefaultTimeout());
        var segment = owner.Segment;
        Bytes(segment).Fill(7);
        segment.Seal(readOnly: true);

        using var reopened = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite);
        foreach (var file in new[] { segment.File!, reopened })
        {
            FluentActions.Invoking(() => RandomAccess.Write(file, new byte[] { 1 }, 0)).Should().Throw<Exception>().Where(e => e is IOException || e is UnauthorizedAccessException);
            Libc.Map(0, 4096, Libc.ProtReadWrite, Libc.MapShared, file, 0).Should().Be(Libc.MapFailed);
            Libc.Allocate(file, Libc.AllocateKeepSize | Libc.AllocatePunchHole, 0, 4096).Should().Be(-1);
            Libc.Truncate(file, 4096).Should().Be(-1);
            Libc.Control(file, Libc.AddSeals, Libc.SealWrite).Should().Be(-1);
            var readable = Libc.Map(0, 4096, 1, Libc.MapShared, file, 0);
            readable.Should().NotBe(Libc.MapFailed);
            Protect(readable, 4096, Libc.ProtReadWrite).Should().Be(-1, "nor does a mapping become writable later");
            Libc.Unmap(readable, 4096).Should().Be(0);
        }

        Bytes(segment).IndexOfAnyExcept((byte)7).Should().Be(-1);
        Bytes(segment)[0] = 8;
        MemoryFileStatus.Read(segment.File!).AllocatedBytes.Should().Be(2 * MiB);
    }

    [Fact]
    public async Task Path_OpensTheVeryMemory()
    {
        await using var owner = new Owner(await Source().CreateAsync(2 * MiB, default).DefaultTimeout());
        Bytes(owner.Segment)[12345] = 77;

        using var file = File.OpenHandle(owner.Segment.Path, FileMode.Open, FileAccess.ReadWrite);

        MemoryFileStatus.Read(file).Inode.Should().Be(owner.Segment.Inode);
        var read = new byte[1];
        RandomAccess.Read(file, read, 12345).Should().Be(1);
        read[0].Should().Be(77);
    }

    [Theory]
    [InlineData(2 * MiB)]
    [InlineData(130 * MiB)] // three pieces, the last one short
    public async Task Clear_ZeroesEveryByteAndKeepsThePages(long lengthBytes)
    {
        await using var owner = new Owner(await Source().CreateAsync(lengthBytes, default).DefaultTimeout());
        Bytes(owner.Segment).Fill(0xA5);

        await owner.Segment.ClearAsync().DefaultTimeout();

        Bytes(owner.Segment).IndexOfAnyExcept((byte)0).Should().Be(-1);
        MemoryFileStatus.Read(owner.Segment.File!).AllocatedBytes.Should().Be(lengthBytes);
    }

    [Fact]
    public async Task Clear_OfAFileThatAClientTookPagesOutOf_IsRefusedAndFillsNone()
    {
        await using var owner = new Owner(await Source().CreateAsync(130 * MiB, default).DefaultTimeout());
        Libc.Allocate(owner.Segment.File!, Libc.AllocateKeepSize | Libc.AllocatePunchHole, 64 * MiB, 64 * MiB).Should().Be(0);

        await FluentActions.Awaiting(() => owner.Segment.ClearAsync().AsTask().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        MemoryFileStatus.Read(owner.Segment.File!).AllocatedBytes.Should().Be(66 * MiB);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Discard_UnpinsAndFreesThePagesUnderAHolderOnlyIfAskedTo(bool freesPages)
    {
        var segment = await Source().CreateAsync(4 * MiB, default).DefaultTimeout();
        Bytes(segment).Fill(1);
        using var holder = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite);

        await segment.DiscardAsync(freesPages).DefaultTimeout();

        _pinner.Pinned.Should().BeEmpty();
        segment.File!.IsClosed.Should().BeTrue();
        MemoryFileStatus.Read(holder).AllocatedBytes.Should().Be(freesPages ? 0 : 4 * MiB);
        MemoryFileStatus.Read(holder).LengthBytes.Should().Be(4 * MiB);
        var read = new byte[1];
        RandomAccess.Read(holder, read, 4097);
        read[0].Should().Be(freesPages ? (byte)0 : (byte)1);
    }

    [Fact]
    public async Task Create_PinRefused_KeepsNothing()
    {
        var pinner = new RefusingPinner();

        await FluentActions.Awaiting(() => Source(pinner).CreateAsync(2 * MiB, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>();

        pinner.Inode.Should().NotBeNull();
        RefusingPinner.MappedInodes().Should().NotContain(inode => inode.Inode == pinner.Inode);
    }

    [Fact]
    public async Task Row26_Create_MoreThanTheMachineHas_IsRefusedBeforeAPageIsTouched()
    {
        var refusal = (await FluentActions.Awaiting(() => Source().CreateAsync(1L << 50, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>()).Which;

        refusal.Operation.Should().Be("preflight");
        refusal.LimitBytes.Should().BePositive();
    }

    [Fact]
    public async Task Adopt_KeepsBytesAndInodeAndPinsThem()
    {
        var made = await Source(new FakePinner()).CreateAsync(4 * MiB, default).DefaultTimeout();
        Bytes(made).Fill(0x5A);
        made.Seal(readOnly: false); // as before a client gets it
        var file = File.OpenHandle(made.Path, FileMode.Open, FileAccess.ReadWrite);
        await made.DiscardAsync(freesPages: false).DefaultTimeout();

        await using var owner = new Owner(await Source().AdoptAsync(file, 4 * MiB, default).DefaultTimeout());

        owner.Segment.Inode.Should().Be(made.Inode);
        owner.Segment.LengthBytes.Should().Be(4 * MiB);
        Bytes(owner.Segment).IndexOfAnyExcept((byte)0x5A).Should().Be(-1);
        _pinner.Pinned.Should().Equal(new Dictionary<nint, long> { [owner.Segment.Address] = 4 * MiB });
    }

    [Fact]
    public async Task Adopt_TouchingPages_ChangesNoByte()
    {
        var made = await Source(new FakePinner()).CreateAsync(2 * MiB, default).DefaultTimeout();
        Bytes(made).Fill(0x5A);
        made.Seal(readOnly: false); // as before a client gets it
        var file = File.OpenHandle(made.Path, FileMode.Open, FileAccess.ReadWrite);
        await made.DiscardAsync(freesPages: false).DefaultTimeout();

        var source = new HostSegmentSource(new HostMemorySettings { TouchPages = true }, NullLogger.Instance, _pinner);
        await using var owner = new Owner(await source.AdoptAsync(file, 2 * MiB, default).DefaultTimeout());

        Bytes(owner.Segment).IndexOfAnyExcept((byte)0x5A).Should().Be(-1);
    }

    [Theory]
    [InlineData(0, 2 * MiB, 2 * MiB, "seals")]
    [InlineData(Libc.SealShrink, 2 * MiB, 2 * MiB, "0x2")]
    [InlineData(Libc.SealShrink | Libc.SealGrow, 2 * MiB, 2 * MiB, "0x6")]
    [InlineData(MemoryFile.Seals | Libc.SealFutureWrite, 2 * MiB, 2 * MiB, "0x17")]
    [InlineData(MemoryFile.Seals, 2 * MiB, 4 * MiB, "2097152")]
    [InlineData(MemoryFile.Seals, 4 * MiB, 2 * MiB, "4194304")]
    [InlineData(MemoryFile.Seals, 4096, 4096, "multiple of 2097152")]
    [InlineData(MemoryFile.Seals, 0, 0, "multiple of 2097152")]
    public async Task Row19_Adopt_WhatIsNoSealedFileOfThatLength_IsAFault(int seals, long lengthBytes, long claimedBytes, string reason)
    {
        using var file = CreateFile(seals, lengthBytes);

        (await FluentActions.Awaiting(() => Source().AdoptAsync(file, claimedBytes, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>())
            .Which.Should().Match<PoolFaultException>(fault => fault.Code == PoolFaultCode.InvalidArgument && fault.Message.Contains(reason));
    }

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/etc/passwd")]
    public async Task Adopt_OtherFiles_IsAFault(string path)
    {
        using var file = File.OpenHandle(path);

        (await FluentActions.Awaiting(() => Source().AdoptAsync(file, 2 * MiB, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>()).Which.Code.Should().Be(PoolFaultCode.InvalidArgument);
    }

    [Fact]
    public async Task Adopt_AFileWithHoles_IsRefusedBeforeAPageIsTouched()
    {
        using var file = CreateFile(MemoryFile.Seals, 4 * MiB);
        Libc.Allocate(file, 0, 0, 2 * MiB).Should().Be(0);

        (await FluentActions.Awaiting(() => Source().AdoptAsync(file, 4 * MiB, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>()).Which.Message.Should().Contain("holes");

        MemoryFileStatus.Read(file).AllocatedBytes.Should().Be(2 * MiB);
        _pinner.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Adopt_AFileOutOfWhichPagesAreTakenMeanwhile_IsRefusedAndUndone()
    {
        using var file = CreateFile(MemoryFile.Seals, 4 * MiB);
        Libc.Allocate(file, 0, 0, 4 * MiB).Should().Be(0);
        var pinner = new HolePunchingPinner(file);

        await FluentActions.Awaiting(() => Source(pinner).AdoptAsync(file, 4 * MiB, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>();

        pinner.Pinned.Should().Be(0);
    }

    [Fact]
    public async Task Adopt_AReadOnlyDescriptor_IsRefused()
    {
        using var made = CreateFile(MemoryFile.Seals, 2 * MiB);
        Libc.Allocate(made, 0, 0, 2 * MiB).Should().Be(0);
        using var file = File.OpenHandle($"/proc/self/fd/{made.DangerousGetHandle()}");

        (await FluentActions.Awaiting(() => Source().AdoptAsync(file, 2 * MiB, default).AsTask().DefaultTimeout())
            .Should().ThrowAsync<MemorySourceException>()).Which.NativeErrorName.Should().Be("EACCES");
    }

    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nint length, int protection);

    private static SafeFileHandle CreateFile(int seals, long lengthBytes)
    {
        var file = new SafeFileHandle(Libc.CreateMemoryFile("lpllm-test", Libc.MemfdCloseOnExec | Libc.MemfdAllowSealing), ownsHandle: true);
        Libc.Truncate(file, lengthBytes).Should().Be(0);
        (seals == 0 ? 0 : Libc.Control(file, Libc.AddSeals, seals)).Should().Be(0);
        return file;
    }

    private static unsafe Span<byte> Bytes(Segment segment) => new((void*)segment.Address, checked((int)segment.LengthBytes));

    private static unsafe bool IsFilled(nint address, long lengthBytes, byte value) =>
        !new Span<byte>((void*)address, (int)lengthBytes).ContainsAnyExcept(value);

    private HostSegmentSource Source(IHostPinner? pinner = null) => new(new HostMemorySettings(), NullLogger.Instance, pinner ?? _pinner);

    /// <summary>Refuses, and keeps the inode of what it was asked to pin: other tests have memory files of their own.</summary>
    private sealed class RefusingPinner : IHostPinner
    {
        public string Name => "refusing";

        public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

        public string? Inode { get; private set; }

        public static IEnumerable<(nint Address, string Inode)> MappedInodes() => File.ReadLines("/proc/self/maps")
            .Where(line => line.Contains("/memfd:lpllm-memory", StringComparison.Ordinal))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(parts => ((nint)Convert.ToInt64(parts[0].Split('-')[0], 16), parts[4]));

        public void Pin(nint address, long lengthBytes)
        {
            Inode = MappedInodes().Single(mapping => mapping.Address == address).Inode;
            throw new MemorySourceException("pin", 12, "ENOMEM", lengthBytes, null, "This pin was told to fail.");
        }

        public void Unpin(nint address, long lengthBytes) => throw new InvalidOperationException("Nothing was pinned.");
    }

    /// <summary>A client that takes pages back while the server takes them over.</summary>
    private sealed class HolePunchingPinner(SafeFileHandle file) : IHostPinner
    {
        public string Name => "punching";

        public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

        public int Pinned { get; private set; }

        public void Pin(nint address, long lengthBytes)
        {
            Pinned++;
            Libc.Allocate(file, Libc.AllocateKeepSize | Libc.AllocatePunchHole, 0, 2 * MiB).Should().Be(0);
        }

        public void Unpin(nint address, long lengthBytes) => Pinned--;
    }

    private sealed class Owner(Segment segment) : IAsyncDisposable
    {
        public Segment Segment => segment;

        public ValueTask DisposeAsync() => segment.DiscardAsync(freesPages: true);
    }
}
