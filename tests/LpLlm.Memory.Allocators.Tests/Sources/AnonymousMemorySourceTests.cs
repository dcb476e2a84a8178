using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Tests.Sources;

[Collection(WholeProcess.Name)]
public class AnonymousMemorySourceTests
{
    private const long MiB = 1 << 20;
    private const long GiB = 1 << 30;

    private readonly FakePinner _pinner = new();
    private readonly CollectingLogger _logger = new();

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
    public async Task Reserve_AboveOneGiB_PinsInPiecesOfAtMostOneGiB()
    {
        var reports = new List<long>();
        var region = await CreateSut().ReserveAsync((2 * GiB) + (4 * MiB), new Reports(reports)).DefaultTimeout();

        _pinner.Pinned.Values.Should().BeEquivalentTo([GiB, GiB, 4 * MiB]);
        reports.Should().Equal(GiB, 2 * GiB, (2 * GiB) + (4 * MiB));
        region.Dispose();
        _pinner.Pinned.Should().BeEmpty();
    }

    [Fact]
    public async Task Reserve_SecondPieceRefused_UndoesTheFirstAndThrows()
    {
        _pinner.FailingPins.Add(2);
        var before = ProcessStatus.ReadBytes("VmSize:");

        var act = async () => await CreateSut().ReserveAsync(GiB + (2 * MiB)).DefaultTimeout();

        (await act.Should().ThrowAsync<MemorySourceException>()).Which.Operation.Should().Be("fakelock");
        _pinner.Pinned.Should().BeEmpty();
        (ProcessStatus.ReadBytes("VmSize:") - before).Should().BeLessThan(GiB / 2, "the mapping is gone");
    }

    [Fact]
    public async Task Reserve_RefusedWithPageableAllowed_SaysSoOnRegionAndOnceInTheLog()
    {
        _pinner.FailingPins.UnionWith([2, 3]);
        var sut = CreateSut(allowPageable: true);
        using var pageable = await sut.ReserveAsync(GiB + (2 * MiB)).DefaultTimeout();
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
    public async Task Reserve_CancelledBetweenPieces_KeepsNothing()
    {
        using var cancellation = new CancellationTokenSource();
        var stopAfterOne = new Callback(_ => cancellation.Cancel());

        var act = async () => await CreateSut().ReserveAsync(3 * GiB, stopAfterOne, cancellation.Token).DefaultTimeout();

        await act.Should().ThrowAsync<OperationCanceledException>();
        _pinner.Pinned.Should().BeEmpty();
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
        var act = () => AlignedMapping.Create(1L << 50);

        act.Should().Throw<MemorySourceException>().Which.Message.Should().Contain("mmap of 1125899906842624 B failed with ENOMEM (12)");
    }

    [Fact]
    public async Task RealPinner_LocksAndUnlocks()
    {
        var sut = new AnonymousMemorySource(new MlockHostPinner(), true, false, _logger);
        var before = ProcessStatus.ReadBytes("VmLck:");

        var region = await sut.ReserveAsync(4 * MiB).DefaultTimeout(); // below the usual 8 MiB limit: works for every user

        (ProcessStatus.ReadBytes("VmLck:") - before).Should().Be(4 * MiB);
        region.Dispose();
        ProcessStatus.ReadBytes("VmLck:").Should().Be(before);
    }

    private AnonymousMemorySource CreateSut(bool allowPageable = false, bool touchPages = false) =>
        new(_pinner, transparentHugePages: true, allowPageable, _logger, touchPages: touchPages);

    private sealed class Reports(List<long> reports) : IProgress<long>
    {
        public void Report(long value) => reports.Add(value);
    }

    private sealed class Callback(Action<long> call) : IProgress<long>
    {
        public void Report(long value) => call(value);
    }
}
