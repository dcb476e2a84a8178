using LpLlm.Memory.Transport.Engine;
using Microsoft.Win32.SafeHandles;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineRestoreTests
{
    private readonly EngineHarness _harness = new();
    private readonly Token _token = Token.Create();

    [Fact]
    public async Task Restore_OfSurvivingMemory_IsALeaseWithItsContent()
    {
        var session = _harness.Open();

        using var grant = await RestoreAsync(session, (7, 3), (8, 2));

        grant.Token.Should().Be(_token);
        grant.Segments.Select(segment => segment.Segment.LengthBytes / Unit).Should().Equal(3, 2);
        Piece(grant).ClearCount.Should().Be(0);
        _harness.Statistics.LeasedBytes.Should().Be(5 * Unit);
        _harness.Engine.Attach(_harness.Open(), _token).Dispose();
    }

    [Fact]
    public async Task Restore_ByASharer_JoinsTheLeaseByItsToken()
    {
        var (first, second) = (_harness.Open(), _harness.Open());
        using var grant = await RestoreAsync(first, (7, 3));

        using var shared = await RestoreAsync(second, (7, 3), (9, 1));

        shared.LeaseId.Should().Be(grant.LeaseId);
        shared.Segments[0].Should().Be(grant.Segments[0]);
        _harness.Statistics.LeasedBytes.Should().Be(4 * Unit, "the same memory counts once");
        _harness.Source.Live.Should().HaveCount(2);
        _harness.Source.All[1].FreedPages.Should().BeFalse("a second view is closed, not its memory");
    }

    [Fact]
    public async Task Restore_OfAnothersMemoryOrLease_IsDeniedAndNothingKept()
    {
        using var grant = await RestoreAsync(_harness.Open(), (7, 3));
        var before = _harness.Statistics;
        var stranger = _harness.Open(user: 1001);

        (await FaultAsync(() => RestoreAsync(stranger, (7, 3)))).Code.Should().Be(PoolFaultCode.PermissionDenied);
        (await FaultAsync(() => RestoreAsync(stranger, (8, 3)))).Code.Should().Be(PoolFaultCode.PermissionDenied);
        (await FaultAsync(() => RestoreAsync(stranger, Token.Create(), (8, 1), (7, 3)))).Code.Should().Be(PoolFaultCode.PermissionDenied);

        _harness.Statistics.Should().Be(before with { Sessions = 2 });
        _harness.Source.Live.Should().ContainSingle();
    }

    [Fact]
    public async Task Restore_OfTheSameMemoryTwice_IsRefused() =>
        (await FaultAsync(() => RestoreAsync(_harness.Open(), (7, 3), (7, 3)))).Code.Should().Be(PoolFaultCode.InvalidArgument);

    [Fact]
    public async Task Restore_OfTheSameMemoryManyTimes_IsRefusedBeforeItIsMapped()
    {
        await FaultAsync(() => _harness.Engine.RestoreAsync(
            _harness.Open(), _token, "", [.. Enumerable.Range(0, 100).Select(_ => (_harness.Source.File(7), Unit))], CancellationToken.None));

        _harness.Source.All.Should().BeEmpty();
    }

    [Theory]
    [InlineData("MaxClientBytes")]
    [InlineData("MaxUserBytes")]
    [InlineData("MaxLeasesPerClient")]
    [InlineData("MaxSegments")]
    [InlineData("CapacityBytes")]
    public async Task Row21_Restore_PastAQuota_IsRefusedBeforeAnyOfItIsMapped(string limit)
    {
        var harness = new EngineHarness(settings => limit switch
        {
            "MaxClientBytes" => settings with { MaxClientBytes = 3 * Unit },
            "MaxUserBytes" => settings with { MaxUserBytes = 3 * Unit },
            "MaxLeasesPerClient" => settings with { MaxLeasesPerClient = 1 },
            "MaxSegments" => settings with { MaxSegments = 2 },
            _ => settings with { CapacityBytes = 4 * Unit },
        });
        var session = harness.Open(process: 7);
        var kept = Token.Create();
        using var first = await RestoreAsync(kept, 1);
        if (limit == "CapacityBytes")
        {
            harness.Time.Advance(PoolEngine.RestoreWindow + TimeSpan.FromSeconds(1)); // until then survivors are taken back whatever there is
        }

        Data(await FaultAsync(() => RestoreAsync(Token.Create(), 2, 3))).LimitName.Should().Be(limit);

        harness.Source.All.Should().ContainSingle("nothing else was mapped");
        using var again = await RestoreAsync(kept, 1); // what the engine has counts once
        harness.Statistics.LeasedBytes.Should().Be(2 * Unit);
        harness.Statistics.RefusedRequests.Should().Be(1);

        Task<LeaseGrant> RestoreAsync(Token token, params ulong[] inodes) => harness.Engine.RestoreAsync(
            session, token, "", [.. inodes.Select(inode => (harness.Source.File(inode), 2 * Unit))], CancellationToken.None);
    }

    [Fact]
    public async Task Restore_InParts_IsOneLeaseOfNoMoreSegmentsThanALeaseHas()
    {
        var harness = new EngineHarness(settings => settings with { MaxSegmentsPerLease = 2, MaxSegments = 3 });
        var session = harness.Open();

        using var first = await PartAsync(_token, 1);
        using var second = await PartAsync(_token, 2);

        second.LeaseId.Should().Be(first.LeaseId);
        Data(await FaultAsync(() => PartAsync(_token, 3))).LimitName.Should().Be("MaxSegmentsPerLease");
        using var third = await PartAsync(Token.Create(), 4);
        Data(await FaultAsync(() => PartAsync(Token.Create(), 5))).LimitName.Should().Be("MaxSegments");
        harness.Source.Live.Should().HaveCount(3);

        Task<LeaseGrant> PartAsync(Token token, ulong inode) =>
            harness.Engine.RestoreAsync(session, token, "", [(harness.Source.File(inode), Unit)], CancellationToken.None);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-Unit)]
    [InlineData(Unit + 1)]
    public async Task Restore_OfALengthThatNoSegmentHas_IsRefusedAndTheDescriptorClosed(long lengthBytes)
    {
        var file = _harness.Source.File(7);

        var fault = await FaultAsync(() => _harness.Engine.RestoreAsync(_harness.Open(), _token, "", [(file, lengthBytes)], CancellationToken.None));

        fault.Code.Should().Be(PoolFaultCode.InvalidArgument);
        file.IsClosed.Should().BeTrue();
    }

    [Fact]
    public async Task Restore_WhenOneSegmentFails_KeepsNoneAndClosesAll()
    {
        _harness.Source.Failures.Enqueue(null);
        _harness.Source.Failures.Enqueue(new PoolFaultException(PoolFaultCode.InvalidArgument, "Not sealed."));
        (SafeFileHandle File, long)[] segments = [(_harness.Source.File(7), Unit), (_harness.Source.File(8), Unit), (_harness.Source.File(9), Unit)];

        await FaultAsync(() => _harness.Engine.RestoreAsync(_harness.Open(), _token, "", segments, CancellationToken.None));

        _harness.Source.Live.Should().BeEmpty();
        _harness.Statistics.LeasedBytes.Should().Be(0);
        segments.Skip(1).Should().AllSatisfy(segment => segment.File.IsClosed.Should().BeTrue());
    }

    [Fact]
    public async Task Restore_AboveTheCapacity_IsCountedAndNothingNewIsGranted()
    {
        var (first, second) = (_harness.Open(), _harness.Open());
        var idle = _harness.Acquire(second, 4);
        _harness.Engine.Release(second, idle.LeaseId);

        using var grant = await RestoreAsync(first, (7, 120));

        _harness.Statistics.Should().Match<EngineStatistics>(statistics => statistics.LeasedBytes == 120 * Unit && statistics.IdleBytes == 0);
        Fault(_harness.AcquireAsync(second, 4)).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        grant.Dispose();
        _harness.Engine.Release(first, grant.LeaseId);
        _harness.Acquire(second, 4);
    }

    [Fact]
    public async Task Restore_AboveTheCapacityLongAfterTheStart_IsRefusedSoThatNobodyIsKeptOut()
    {
        _harness.Advance((int)PoolEngine.RestoreWindow.TotalMilliseconds + 1);

        var fault = await FaultAsync(() => RestoreAsync(_harness.Open(), (7, 120)));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        _harness.Statistics.LeasedBytes.Should().Be(0);
        using var fits = await RestoreAsync(_harness.Open(), (8, 4));
        fits.Segments.Should().ContainSingle();
    }

    [Fact]
    public async Task Restore_AboveTheQuota_IsRefused()
    {
        var harness = new EngineHarness(settings => settings with { MaxUserBytes = 4 * Unit });
        var session = harness.Open();

        var fault = await FaultAsync(() => harness.Engine.RestoreAsync(
            session, _token, "", [(harness.Source.File(1007), 5 * Unit)], CancellationToken.None));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        harness.Statistics.LeasedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Restore_ThenReleased_IsNeverReusedBecauseOthersMayHaveIt()
    {
        var session = _harness.Open();
        var grant = await RestoreAsync(session, (7, 4));
        grant.Dispose();

        _harness.Engine.Exited(session);
        _harness.Advance(250);

        Piece(grant).FreedPages.Should().BeFalse();
        _harness.Statistics.PendingBytes.Should().Be(0);
    }

    private static async Task<PoolFaultException> FaultAsync(Func<Task<LeaseGrant>> restore) =>
        (await restore.Should().ThrowAsync<PoolFaultException>()).Which;

    private Task<LeaseGrant> RestoreAsync(PoolSession session, params (ulong Inode, long Units)[] segments) => RestoreAsync(session, _token, segments);

    private Task<LeaseGrant> RestoreAsync(PoolSession session, Token token, params (ulong Inode, long Units)[] segments) => _harness.Engine.RestoreAsync(
        session, token, "", [.. segments.Select(segment => (_harness.Source.File(segment.Inode + 1000), segment.Units * Unit))], CancellationToken.None);
}
