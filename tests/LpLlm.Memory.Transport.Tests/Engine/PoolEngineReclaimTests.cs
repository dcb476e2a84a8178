using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineReclaimTests
{
    [Fact]
    public void Row01_S5_ClientKilled_ItsLeasesAndWaitsEndAndOthersStay()
    {
        var harness = new EngineHarness();
        var (killed, other) = (harness.Open(), harness.Open());
        harness.Acquire(killed, 50);
        harness.Acquire(killed, 20);
        var kept = harness.Acquire(other, 10);
        var waiting = harness.AcquireAsync(killed, 40, TimeSpan.FromSeconds(60));

        harness.Engine.Exited(killed);

        Fault(waiting).Code.Should().Be(PoolFaultCode.Cancelled);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Statistics.PendingBytes.Should().Be(70 * Unit);
        harness.Statistics.ReclaimedLeases.Should().Be(2);
        harness.Advance(250);
        harness.Statistics.PendingBytes.Should().Be(0);
        harness.Statistics.IdleBytes.Should().Be(70 * Unit);
        harness.Engine.List().Should().ContainSingle().Which.Id.Should().Be(kept.LeaseId);
        harness.Acquire(harness.Open(user: 7), 90);
    }

    [Fact]
    public void Row02_ConnectionLostButProcessAlive_ItsMemoryIsNotReusedUntilItIsGone()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var lease = harness.Acquire(first, 60);

        harness.Engine.Disconnect(first);
        harness.Advance(10 * 60_000);

        harness.Engine.List().Should().ContainSingle().Which.State.Should().Be(LeaseState.Detached);
        Fault(harness.AcquireAsync(harness.Open(), 60)).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        harness.Engine.Exited(first);
        harness.Advance(250);
        Piece(harness.Acquire(harness.Open(), 60)).Should().BeSameAs(Piece(lease));
    }

    [Fact]
    public void Row12_DoubleOrForeignFree_IsNotFoundCountedAndChangesNothing()
    {
        var harness = new EngineHarness();
        var (first, second) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(first, 10);
        var others = harness.Acquire(second, 10);
        var gone = harness.Acquire(first, 10);
        harness.Engine.Release(first, gone.LeaseId);
        var before = harness.Statistics;
        ulong[] wrong = [gone.LeaseId, others.LeaseId, lease.LeaseId + 1, lease.LeaseId - 1, 0, ulong.MaxValue];

        foreach (var id in wrong)
        {
            Fault(() => harness.Engine.Release(first, id)).Code.Should().Be(PoolFaultCode.NotFound);
            Fault(() => harness.Engine.Shrink(first, lease.LeaseId, [id])).Code.Should().Be(PoolFaultCode.NotFound);
        }

        Fault(() => harness.Engine.Shrink(first, lease.LeaseId, [others.Segments[0].Id])).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(() => harness.Engine.Shrink(first, lease.LeaseId, [lease.Segments[0].Id, lease.Segments[0].Id])).Code.Should().Be(PoolFaultCode.InvalidArgument);
        harness.Statistics.Should().Be(before with { RefusedRequests = before.RefusedRequests + 13 });
    }

    [Fact]
    public void Row14_LeaseTakenAwayDuringACopy_IsNotReusedBeforeItsHolderLetsGo()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var lease = harness.Acquire(first, 80);

        harness.Engine.Revoke(lease.LeaseId, "test");
        harness.Advance(60_000);

        Piece(lease).FreedPages.Should().BeNull();
        Piece(lease).ClearCount.Should().Be(0);
        harness.Engine.Inspect(lease.LeaseId).Summary.State.Should().Be(LeaseState.Revoked);
        Fault(harness.AcquireAsync(harness.Open(), 80)).Code.Should().Be(PoolFaultCode.ResourceExhausted);
        Fault(harness.Engine.GrowAsync(first, lease.LeaseId, Options(1), CancellationToken.None)).Code.Should().Be(PoolFaultCode.Aborted);
        Fault(() => harness.Engine.Attach(harness.Open(), lease.Token)).Code.Should().Be(PoolFaultCode.Aborted);
        harness.Engine.Release(first, lease.LeaseId);
        harness.Acquire(harness.Open(), 80);
    }

    [Fact]
    public void Row14_ClientThatCannotBeWatched_ExpiresButItsPagesStayItsOwn()
    {
        var harness = new EngineHarness();
        var first = harness.Open(watched: false);
        var lease = harness.Acquire(first, 80);
        Piece(lease).Write("first");

        harness.Advance(29_999);
        harness.Engine.Renew(first);
        harness.Advance(29_999);
        harness.Engine.Find(first.Token).Should().NotBeNull();
        harness.Advance(1);

        harness.Engine.Find(first.Token).Should().BeNull();
        Piece(lease).FreedPages.Should().BeNull("its device copies drain first");
        harness.Advance(250);
        Piece(lease).FreedPages.Should().BeFalse("it may live and read on");
        Piece(lease).Writers.Should().Equal("first");
        harness.Acquire(harness.Open(), 100);
    }

    [Fact]
    public void Row15_WallClockJumps_ExpireNothing_AndMonotonicTimeExpiresOnce()
    {
        var time = new JumpingTimeProvider();
        var engine = new PoolEngine(
            new PoolEngineSettings { CapacityBytes = 100 * Unit }, new SimulatedSegmentSource(), time, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var session = engine.Open(new SessionOptions());

        time.Jump(TimeSpan.FromDays(1));
        engine.Find(session.Token).Should().NotBeNull();
        time.Jump(TimeSpan.FromDays(-2));
        engine.Find(session.Token).Should().NotBeNull();
        time.Advance(TimeSpan.FromSeconds(30));
        engine.Find(session.Token).Should().BeNull();
        time.Advance(TimeSpan.FromSeconds(30));
        engine.GetEvents().Where(record => record.Kind == "expired").Should().ContainSingle();
    }

    [Fact]
    public void Over_FiresWhenTheEndedSessionCanTouchNothingAnyMore()
    {
        var harness = new EngineHarness();
        var (empty, holder, sharer) = (harness.Open(), harness.Open(), harness.Open());
        var lease = harness.Acquire(holder, 10);
        harness.Engine.Attach(sharer, lease.Token).Dispose();

        harness.Engine.Close(empty);
        harness.Engine.Close(holder);

        empty.Over.IsCancellationRequested.Should().BeTrue();
        holder.Over.IsCancellationRequested.Should().BeFalse("its memory is still used, and it could write to it");
        harness.Engine.Exited(holder);
        holder.Over.IsCancellationRequested.Should().BeTrue();
        harness.Engine.Close(sharer);
        harness.Advance(250);
        sharer.Over.IsCancellationRequested.Should().BeTrue("what it had was discarded");
    }

    [Fact]
    public void Row18_TwoSessionsWithTheSamePid_StayDistinct()
    {
        var harness = new EngineHarness();
        var (first, second) = (harness.Open(process: 4711), harness.Open(process: 4711));
        var lease = harness.Acquire(first, 10);
        var other = harness.Acquire(second, 10);

        harness.Engine.Exited(first);

        harness.Engine.Find(second.Token).Should().BeSameAs(second);
        harness.Engine.List(second).Should().ContainSingle().Which.Id.Should().Be(other.LeaseId);
        Fault(() => harness.Engine.Release(second, lease.LeaseId)).Code.Should().Be(PoolFaultCode.NotFound);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
    }

    [Fact]
    public void Row22_NextClientOfAllTheMemory_ReadsZeros()
    {
        var harness = new EngineHarness();
        var (first, second) = (harness.Open(name: "A"), harness.Open(user: 1001, name: "B"));
        foreach (var size in new[] { 4, 7, 40, 13 })
        {
            var lease = harness.Acquire(first, size);
            lease.Segments.ToList().ForEach(segment => ((SimulatedSegment)segment.Segment).Write("A"));
            if (size == 7)
            {
                harness.Engine.Release(first, lease.LeaseId);
                Piece(lease).Write("A, which is hostile");
            }
        }

        harness.Engine.Exited(first);
        harness.Advance(250);

        foreach (var session in new[] { harness.Open(), second })
        {
            var all = harness.Acquire(session, 100);
            all.Segments.Should().AllSatisfy(segment => ((SimulatedSegment)segment.Segment).Writers.Should().BeEmpty());
            harness.Engine.Release(session, all.LeaseId);
        }
    }

    [Fact]
    public void Row22_ClientDiesWhileItsMemoryIsZeroed_ItIsZeroedAgain()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var lease = harness.Acquire(first, 4);
        harness.Source.IsManual = true;
        harness.Engine.Release(first, lease.LeaseId);

        harness.Engine.Exited(first);
        harness.Source.Pending[0].End();
        harness.Statistics.IdleBytes.Should().Be(0);
        harness.Advance(250);
        harness.Source.EndAll();

        Piece(lease).ClearCount.Should().Be(2);
        harness.Statistics.IdleBytes.Should().Be(4 * Unit);
    }

    [Fact]
    public void Close_OfALiveProcess_ItsMemoryIsDiscardedNotReused()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var lease = harness.Acquire(first, 4);

        harness.Engine.Close(first);

        Piece(lease).FreedPages.Should().BeTrue();
        harness.Statistics.Sessions.Should().Be(0);
        harness.Engine.Exited(first);
        harness.Statistics.PendingBytes.Should().Be(0);
    }

    [Fact]
    public void UnknownUser_ItsMemoryIsNobodyElses()
    {
        var harness = new EngineHarness();
        var first = harness.Open(user: null);
        var lease = harness.Acquire(first, 4);

        harness.Engine.Exited(first);
        harness.Advance(250);

        Piece(lease).FreedPages.Should().BeTrue();
    }

    [Fact]
    public void ThisProcess_ItsMemoryIsForAnybodyOnceItIsZeroed()
    {
        var harness = new EngineHarness();
        var own = harness.Open(user: 7, watched: false, own: true);
        var lease = harness.Acquire(own, 4);
        Piece(lease).Write("own");
        harness.Engine.Release(own, lease.LeaseId);

        var other = harness.Acquire(harness.Open(), 4);

        Piece(other).Should().BeSameAs(Piece(lease));
        Piece(other).Writers.Should().BeEmpty();
    }

    [Fact]
    public async Task Grant_NotYetSent_KeepsItsDescriptorsThoughTheClientDies()
    {
        var harness = new EngineHarness();
        var first = harness.Open();
        var grant = await harness.AcquireAsync(first, 4);

        harness.Engine.Exited(first);
        harness.Advance(250);

        Piece(grant).FreedPages.Should().BeNull();
        Piece(grant).ClearCount.Should().Be(0);
        grant.Dispose();
        grant.Dispose();
        harness.Statistics.IdleBytes.Should().Be(4 * Unit);
    }

    [Fact]
    public void SegmentThatCannotBeZeroed_IsDiscarded()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 4);
        harness.Source.Failures.Enqueue(new IOException("lost"));

        harness.Engine.Release(session, lease.LeaseId);

        Piece(lease).FreedPages.Should().BeTrue();
        harness.Statistics.Should().Match<EngineStatistics>(statistics => statistics.IdleBytes == 0 && statistics.PendingBytes == 0);
    }

    [Fact]
    public void SegmentThatCannotBeDiscarded_StaysCounted()
    {
        var harness = new EngineHarness();
        var session = harness.Open(user: null);
        harness.Acquire(session, 4);
        harness.Source.Failures.Enqueue(new IOException("lost"));

        harness.Engine.Close(session);

        harness.Statistics.PendingBytes.Should().Be(4 * Unit);
        harness.Acquire(harness.Open(), 96);
        Fault(harness.AcquireAsync(harness.Open(), 1)).Code.Should().Be(PoolFaultCode.ResourceExhausted);
    }
}
