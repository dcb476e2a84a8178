using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Tests.Sources;

[Collection(WholeProcess.Name)]
public sealed class HostMemorySourceTests : IDisposable
{
    private const long MiB = 1 << 20;
    private const long Piece = 512 * MiB;

    // No reserved pages, whatever this machine has: they count neither as resident nor as locked.
    private readonly Folders _sys = new Folders().Write("kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    private readonly FakePinner _pinner = new();
    private readonly CollectingLogger _logger = new();

    public void Dispose() => _sys.Dispose();

    [Fact]
    public async Task Reserve_MakesEveryPageResident()
    {
        var before = ProcessStatus.ReadBytes("VmRSS:");
        using var region = await CreateSut().ReserveAsync(200 * MiB).DefaultTimeout();

        (ProcessStatus.ReadBytes("VmRSS:") - before).Should().BeGreaterThan(150 * MiB, "less only by what the heap gave back meanwhile");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reserve_WithOrWithoutPopulateCall_IsFullyPinned(bool touchPages)
    {
        var region = await CreateSut(touchPages: touchPages).ReserveAsync(70 * MiB).DefaultTimeout();
        _pinner.Pinned.Should().ContainSingle().Which.Value.Should().Be(70 * MiB);
        region.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked);

        region.Dispose();

        _pinner.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Reserve_AboveOnePiece_PinsInPiecesOfAtMost512MiB()
    {
        var reports = new List<long>();
        var region = await CreateSut().ReserveAsync((2 * Piece) + (4 * MiB), new Reports(reports)).DefaultTimeout();

        _pinner.Pinned.Values.Should().BeEquivalentTo([Piece, Piece, 4 * MiB]);
        reports.Should().Equal(Piece, 2 * Piece, (2 * Piece) + (4 * MiB));
        region.Dispose();
        _pinner.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Reserve_SeveralAtOnceAndSomeCancelled_TheOthersAreResidentAndPinned()
    {
        var before = ProcessStatus.ReadBytes("VmRSS:");
        var sut = CreateSut();
        var kept = Enumerable.Range(0, 4).Select(_ => sut.ReserveAsync(48 * MiB).AsTask()).ToList();
        var doomed = Enumerable.Range(0, 4).Select(_ => ReserveUntilTheFirstPieceAsync(sut)).ToList();

        await Task.WhenAll(kept).DefaultTimeout();
        foreach (var task in doomed)
        {
            await task.Awaiting(each => each.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        }

        (ProcessStatus.ReadBytes("VmRSS:") - before).Should().BeInRange(150 * MiB, 300 * MiB);
        _pinner.Pinned.Values.Should().BeEquivalentTo(Enumerable.Repeat(48 * MiB, 4));
        kept.ForEach(task => task.Result.Dispose());
    }

    [Fact]
    public async Task Reserve_WhileAnotherIsPinned_IsPopulated()
    {
        using var pinner = new GatedPinner();
        var sut = new HostMemorySource(new HostMemorySettings(), pinner, _logger, sysPath: _sys.Root);

        var both = Enumerable.Range(0, 2).Select(_ => sut.ReserveAsync(4 * MiB).AsTask()).ToList();

        await TestTimeouts.UntilAsync(() => pinner.Entered == 2);
        pinner.Open();
        Array.ForEach(await Task.WhenAll(both).DefaultTimeout(), region => region.Dispose());
    }

    [Fact]
    public async Task Reserve_WhileAnotherIsPopulated_WaitsForItsTurnOrItsToken()
    {
        using var pinner = new GatedPinner();
        using var cancellation = new CancellationTokenSource();
        var sut = new HostMemorySource(new HostMemorySettings { PieceBytes = 2 * MiB }, pinner, _logger, sysPath: _sys.Root);
        var first = sut.ReserveAsync(4 * MiB).AsTask();
        await TestTimeouts.UntilAsync(() => pinner.Entered == 1); // nobody has waited for its second piece yet

        var second = sut.ReserveAsync(2 * MiB, cancellationToken: cancellation.Token).AsTask();
        var third = sut.ReserveAsync(2 * MiB).AsTask();
        await cancellation.CancelAsync();
        await second.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        pinner.Entered.Should().Be(1, "two that are told of the same free memory would both take it");
        pinner.Open();

        (await first.DefaultTimeout()).Dispose();
        (await third.DefaultTimeout()).Dispose();
        pinner.Entered.Should().Be(3);
    }

    [Fact]
    public async Task Reserve_SecondPieceRefused_UndoesTheFirstAndThrows()
    {
        _pinner.FailingPins.Add(2);
        var before = ProcessStatus.ReadBytes("VmSize:");

        var act = async () => await CreateSut().ReserveAsync(4 * Piece).DefaultTimeout();

        (await act.Should().ThrowAsync<MemorySourceException>()).Which.Operation.Should().Be("fakelock");
        _pinner.Pinned.Should().BeEmpty();
        (ProcessStatus.ReadBytes("VmSize:") - before).Should().BeLessThan(4 * Piece, "the mapping is gone");
    }

    [Fact]
    public async Task Reserve_RefusedWithPageableAllowed_SaysSoOnRegionAndOnceInTheLog()
    {
        _pinner.FailingPins.UnionWith([2, 3]);
        var sut = CreateSut(allowPageable: true);
        using var pageable = await sut.ReserveAsync(Piece + (2 * MiB)).DefaultTimeout();
        using var again = await sut.ReserveAsync(2 * MiB).DefaultTimeout();
        using var locked = await sut.ReserveAsync(2 * MiB).DefaultTimeout();

        pageable.Capabilities.Should().Be(PoolCapabilities.None);
        again.Capabilities.Should().Be(PoolCapabilities.None);
        locked.Capabilities.Should().Be(PoolCapabilities.PageLocked);
        _pinner.Pinned.Should().ContainSingle("a region is locked whole or not at all");
        _logger.Entries.Where(entry => entry.Level == LogLevel.Warning).Should().ContainSingle()
            .Which.Message.Should().Contain("NOT page-locked").And.Contain("fakelock of 2097152 B").And.Contain("ENOMEM");
    }

    [Fact]
    public async Task Reserve_MoreThanTheMachineHas_IsRefusedBeforeAnythingIsPopulated()
    {
        var act = async () => await CreateSut().ReserveAsync(1L << 45).DefaultTimeout();

        var error = (await act.Should().ThrowAsync<MemorySourceException>()).Which;
        error.RequestedBytes.Should().Be(1L << 45);
        error.LimitBytes.Should().BePositive();
        error.Message.Should().Contain("lower InitialBytes or CapacityBytes");
    }

    [Fact]
    public void Map_MoreAddressesThanThereAre_NamesTheCall()
    {
        var act = () => HostMapping.Create(1L << 50, new PageChoice(PageKind.Small, 4096), shared: false);

        act.Should().Throw<MemorySourceException>().Which.Message.Should().Contain("mmap of 1125899908939776 B failed with ENOMEM (12)");
    }

    [Fact]
    public async Task RealPinner_LocksAndUnlocks()
    {
        var sut = new HostMemorySource(new HostMemorySettings(), new MlockHostPinner(), _logger, sysPath: _sys.Root);
        var before = ProcessStatus.ReadBytes("VmLck:");

        var region = await sut.ReserveAsync(4 * MiB).DefaultTimeout(); // below the usual 8 MiB limit: works for every user

        (ProcessStatus.ReadBytes("VmLck:") - before).Should().Be(4 * MiB);
        region.Dispose();
        ProcessStatus.ReadBytes("VmLck:").Should().Be(before);
    }

    [Fact]
    public async Task Never_ForbidsHugePages()
    {
        using var region = await new HostMemorySource(new HostMemorySettings { HugePages = HugePageMode.Never }, _pinner, _logger, sysPath: _sys.Root)
            .ReserveAsync(4 * MiB).DefaultTimeout();

        MappedRange.Find(region.Address)!.Flags.Should().Contain("nh");
        _logger.Entries.Should().ContainSingle().Which.Message.Should().Contain("pages of 4 KiB").And.Contain("Never");
    }

    [Fact]
    public async Task Auto_WithoutReservedPages_AsksForTransparentOnesAndSaysSo()
    {
        using var region = await CreateSut().ReserveAsync(4 * MiB).DefaultTimeout();

        MappedRange.Find(region.Address)!.Flags.Should().Contain("hg").And.Contain("dc").And.Contain("dd");
        _logger.Entries.Should().ContainSingle().Which.Message.Should().Contain("transparent huge pages").And.Contain("Auto");
    }

    [Fact]
    public async Task QuarantinedBytes_CountRegionsThatCouldNotBeGivenBackAndNoOthers()
    {
        var sut = CreateSut();
        var first = await sut.ReserveAsync(4 * MiB).DefaultTimeout();
        var second = await sut.ReserveAsync(2 * MiB).DefaultTimeout();
        _pinner.FailingUnpins.Add(1);

        first.Invoking(region => region.Dispose()).Should().Throw<MemorySourceException>();
        second.Dispose();

        sut.QuarantinedBytes.Should().Be(4 * MiB);
        MappedRange.Find(first.Address).Should().NotBeNull();
    }

    [Fact]
    public async Task QuarantinedBytes_CountAReservationThatCouldNotBeUndone()
    {
        var sut = new HostMemorySource(new HostMemorySettings { PieceBytes = 2 * MiB }, _pinner, _logger, sysPath: _sys.Root);
        _pinner.FailingPins.Add(2);
        _pinner.FailingUnpins.Add(1);

        await FluentActions.Awaiting(() => sut.ReserveAsync(4 * MiB).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();

        sut.QuarantinedBytes.Should().Be(4 * MiB);
    }

    [Fact]
    public async Task Reserve_PageableAllowedButTheFirstHalfStaysPinned_UndoesTheRegion()
    {
        var sut = new HostMemorySource(
            new HostMemorySettings { PieceBytes = 2 * MiB, AllowPageable = true }, _pinner, _logger, sysPath: _sys.Root);
        _pinner.FailingPins.Add(2);
        _pinner.FailingUnpins.Add(1);

        var error = (await FluentActions.Awaiting(() => sut.ReserveAsync(4 * MiB).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>()).Which;

        error.Operation.Should().Be("fakeunlock");
        error.QuarantinedBytes.Should().Be(0, "the second attempt to unpin it went well");
        _pinner.Pinned.Should().BeEmpty();
        sut.QuarantinedBytes.Should().Be(0);
    }

    private HostMemorySource CreateSut(bool allowPageable = false, bool touchPages = false) =>
        new(new HostMemorySettings { AllowPageable = allowPageable, TouchPages = touchPages }, _pinner, _logger, sysPath: _sys.Root);

    /// <summary>Cancels itself when one of two pieces is pinned, and the other perhaps populated.</summary>
    private static async Task<MemoryRegion> ReserveUntilTheFirstPieceAsync(HostMemorySource sut)
    {
        using var cancellation = new CancellationTokenSource();
        return await sut.ReserveAsync(2 * Piece, new DirectProgress(_ => cancellation.Cancel()), cancellation.Token);
    }

    private sealed class GatedPinner : IHostPinner, IDisposable
    {
        private readonly ManualResetEventSlim _gate = new();
        private int _entered;

        public string Name => "gated";

        public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

        public int Entered => Volatile.Read(ref _entered);

        public void Open() => _gate.Set();

        public void Pin(nint address, long lengthBytes)
        {
            Interlocked.Increment(ref _entered);
            _gate.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();
        }

        public void Unpin(nint address, long lengthBytes)
        {
        }

        public void Dispose() => _gate.Dispose();
    }

    private sealed class Reports(List<long> reports) : IProgress<long>
    {
        public void Report(long value) => reports.Add(value);
    }
}
