using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineLifetimeTests
{
    private static readonly MemorySourceException NoMemory = new("mmap", 12, "ENOMEM", Standard, null, "Add memory.");

    [Fact]
    public async Task Start_WithoutMemory_FailsAndTriesAgainLater()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = 3 * Standard });
        harness.Source.Failures.Enqueue(NoMemory);

        await harness.Engine.Awaiting(engine => engine.StartAsync(CancellationToken.None)).Should().ThrowAsync<MemorySourceException>();

        harness.Source.Live.Should().BeEmpty();
        harness.Advance(5000);
        harness.Statistics.IdleBytes.Should().Be(3 * Standard, "whoever started it may have let it go on");
    }

    [Fact]
    public async Task Start_OnlyTheFirstSegmentCanBeHad_GoesOnAndMakesTheOthersLater()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = 3 * Standard });
        harness.Source.Failures.Enqueue(null);
        harness.Source.Failures.Enqueue(NoMemory);

        await harness.Engine.StartAsync(CancellationToken.None).DefaultTimeout();

        harness.Statistics.IdleBytes.Should().Be(Standard);
        harness.Advance(5000);
        harness.Statistics.IdleBytes.Should().Be(3 * Standard);
    }

    [Fact]
    public async Task WarmSegments_ThatCannotBeMade_AreTriedAgainLater()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = 2 * Standard });
        await harness.Engine.StartAsync(CancellationToken.None);
        harness.Source.Failures.Enqueue(NoMemory);

        harness.Acquire(harness.Open(), 4);

        harness.Statistics.IdleBytes.Should().Be(Standard);
        harness.Advance(5000);
        harness.Statistics.IdleBytes.Should().Be(2 * Standard);
    }

    [Fact]
    public async Task WarmSegments_YieldToARequestThatNeedsTheirRoom()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = 10 * Standard });
        await harness.Engine.StartAsync(CancellationToken.None);
        var session = harness.Open();

        var lease = harness.Acquire(session, 100, single: true);

        harness.Statistics.IdleBytes.Should().Be(0);
        harness.Engine.Release(session, lease.LeaseId);
        harness.Source.TakenBytes.Should().BeLessThanOrEqualTo(100 * Unit);
    }

    [Fact]
    public async Task Drain_RefusesNewRequestsEndsWaitingOnesAndLetsOthersLeave()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 90);
        var waiting = harness.AcquireAsync(harness.Open(), 50, TimeSpan.FromSeconds(60));
        await using var events = harness.Engine.WatchAsync(session, CancellationToken.None).GetAsyncEnumerator();

        harness.Engine.Drain(TimeSpan.FromSeconds(5));

        Fault(waiting).Code.Should().Be(PoolFaultCode.Unavailable);
        Fault(harness.AcquireAsync(session, 1)).Code.Should().Be(PoolFaultCode.Unavailable);
        Fault(() => harness.Open()).Code.Should().Be(PoolFaultCode.Unavailable);
        Fault(() => harness.Engine.Attach(session, lease.Token)).Code.Should().Be(PoolFaultCode.Unavailable);
        harness.Engine.Renew(session);
        harness.Engine.Release(session, lease.LeaseId);
        (await events.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        events.Current.Should().BeOfType<PoolEvent.Trim>("somebody waited");
        (await events.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        events.Current.Should().Be(new PoolEvent.Shutdown(TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public async Task Dispose_DiscardsEverythingWithoutTouchingWhatClientsHave()
    {
        var harness = new EngineHarness(settings => settings with { WarmBytes = Standard });
        await harness.Engine.StartAsync(CancellationToken.None);
        var session = harness.Open();
        var lease = harness.Acquire(session, 10);
        harness.Source.IsManual = true;
        var making = harness.AcquireAsync(session, 20);

        var disposal = harness.Engine.DisposeAsync().AsTask();
        disposal.IsCompleted.Should().BeFalse("memory is still being made and discarded");
        harness.Source.EndAll();
        await disposal.DefaultTimeout();
        await harness.Engine.DisposeAsync();

        Fault(making).Code.Should().Be(PoolFaultCode.Unavailable);
        harness.Source.Live.Should().BeEmpty();
        harness.Source.All.Should().AllSatisfy(segment => segment.FreedPages.Should().BeFalse());
        harness.Source.Violations.Should().BeEmpty();
        Fault(() => harness.Engine.Release(session, lease.LeaseId)).Code.Should().Be(PoolFaultCode.Unavailable);
        harness.Engine.Exited(session);
    }

    [Fact]
    public async Task Dispose_WhenMemoryIsStuck_EndsNevertheless()
    {
        var harness = new EngineHarness();
        harness.Acquire(harness.Open(), 10);
        harness.Source.IsManual = true;

        var disposal = harness.Engine.DisposeAsync().AsTask();
        harness.Advance(5000);

        await disposal.DefaultTimeout();
    }

    [Fact]
    public void Statistics_AddUpInEveryState()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var kept = harness.Acquire(session, 10);
        var idle = harness.Acquire(session, 20);
        harness.Engine.Release(session, idle.LeaseId);
        harness.Source.IsManual = true;
        harness.Grow(session, kept, 20);
        _ = harness.AcquireAsync(session, 7);
        harness.Advance(1234);

        harness.Statistics.Should().Be(new EngineStatistics
        {
            CapacityBytes = 100 * Unit,
            LeasedBytes = 30 * Unit,
            ModelBytes = 0,
            IdleBytes = 0,
            PendingBytes = 7 * Unit,
            PeakLeasedBytes = 30 * Unit,
            Sessions = 1,
            Leases = 1,
            Waiting = 0,
            TotalLeases = 2,
            RefusedRequests = 0,
            TrimRequests = 0,
            ReclaimedLeases = 0,
            Uptime = TimeSpan.FromMilliseconds(1234),
        });
    }

    [Fact]
    public void Events_ThatDoNotFitTheRing_LeaveAGapInTheSequence()
    {
        var harness = new EngineHarness(settings => settings with { EventCapacity = 4 });
        var session = harness.Open();
        for (var i = 0; i < 5; i++)
        {
            var lease = harness.Acquire(session, 1);
            harness.Engine.Release(session, lease.LeaseId);
        }

        harness.Engine.GetEvents().Select(record => record.Sequence).Should().Equal(6, 7, 8, 9);
    }

    [Fact]
    public void ManySessions_EachWithoutConnection_KeepNoTimerWhenTheyAreGone()
    {
        var harness = new EngineHarness();
        var sessions = Enumerable.Range(0, 10).Select(_ => harness.Open(watched: false)).ToList();

        sessions.ForEach(harness.Engine.Close);
        harness.Advance(30_000);

        harness.Time.ActiveTimers.Should().Be(0);
    }
}
