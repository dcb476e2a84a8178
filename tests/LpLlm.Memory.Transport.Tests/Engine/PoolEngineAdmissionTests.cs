using LpLlm.Memory.Transport.Engine;
using Microsoft.Extensions.Logging;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineAdmissionTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    [Fact]
    public void Row27_Exhausted_WithoutTimeout_IsRefusedAtOnce()
    {
        var harness = new EngineHarness();
        harness.Acquire(harness.Open(), 95);

        var data = Data(Fault(harness.AcquireAsync(harness.Open(), 10)));

        data.Cause.Should().Be("Limit");
        data.FreeBytes.Should().Be(5 * Unit);
        harness.Statistics.Waiting.Should().Be(0);
    }

    [Fact]
    public void Row27_Exhausted_WithTimeout_WaitsAndIsServedInOrder()
    {
        var harness = new EngineHarness();
        var holder = harness.Open();
        var leases = Enumerable.Range(0, 10).Select(_ => harness.Acquire(holder, 10)).ToList();
        var clients = Enumerable.Range(0, 3).Select(i => harness.Open(privileged: i == 2)).ToList();

        // The first wants most: the others, who would fit sooner, do not pass it.
        var large = harness.AcquireAsync(clients[0], 30, Long);
        var small = harness.AcquireAsync(clients[1], 10, Long);
        var urgent = harness.AcquireAsync(clients[2], 10, Long, RentPriority.High);
        harness.Engine.Release(holder, leases[0].LeaseId);
        Sent(urgent);
        harness.Engine.Release(holder, leases[1].LeaseId);
        harness.Engine.Release(holder, leases[2].LeaseId);
        (large.IsCompleted, small.IsCompleted).Should().Be((false, false));
        harness.Statistics.Waiting.Should().Be(2);
        harness.Engine.Release(holder, leases[3].LeaseId);
        Sent(large);
        small.IsCompleted.Should().BeFalse();
        harness.Engine.Release(holder, leases[4].LeaseId);
        Sent(small);
    }

    [Fact]
    public void HighPriority_OfAnOrdinaryClient_IsNormal()
    {
        var harness = new EngineHarness();
        var holder = harness.Open();
        var lease = harness.Acquire(holder, 100);
        var first = harness.AcquireAsync(harness.Open(), 60, Long);
        var pushy = harness.AcquireAsync(harness.Open(), 60, Long, RentPriority.High);

        harness.Engine.Release(holder, lease.LeaseId);

        Sent(first);
        pushy.IsCompleted.Should().BeFalse();
    }

    [Fact]
    public void FrontWithoutRoom_HoldsOthersBackByTurnsOnly_AndGathersWhatComesBackMeanwhile()
    {
        var harness = new EngineHarness(settings => settings with { TrimPatience = TimeSpan.Zero });
        var holder = harness.Open();
        var leases = Enumerable.Range(0, 9).Select(_ => harness.Acquire(holder, 10)).ToList();
        var large = harness.AcquireAsync(harness.Open(), 100, Long);
        var small = harness.AcquireAsync(harness.Open(), 10, Long);

        harness.Advance(3999);
        small.IsCompleted.Should().BeFalse();
        harness.Advance(1);
        Sent(small);
        harness.Engine.Release(holder, leases[0].LeaseId);
        var late = Sent(harness.AcquireAsync(harness.Open(), 5));
        harness.Advance(4000);

        // Its turn again: nobody takes what comes back now.
        var later = harness.AcquireAsync(harness.Open(), 10, Long);
        leases.Skip(1).ToList().ForEach(lease => harness.Engine.Release(holder, lease.LeaseId));
        later.IsCompleted.Should().BeFalse();
        large.IsCompleted.Should().BeFalse("the small ones still hold 15");
        late.Segments.Should().ContainSingle();
    }

    [Fact]
    public void Waiting_OfOneProcessOrUser_LeavesPlacesForOthers()
    {
        var harness = new EngineHarness(settings => settings with { MaxWaiting = 8, MaxLeasesPerClient = 100 });
        harness.Acquire(harness.Open(user: 1), 100);
        var greedy = harness.Open(process: 11);
        _ = harness.AcquireAsync(greedy, 1, Long);
        _ = harness.AcquireAsync(greedy, 1, Long);

        Data(Fault(harness.AcquireAsync(greedy, 1, Long))).LimitBytes.Should().Be(2, "a process has a quarter");
        var second = harness.Open(process: 12);
        _ = harness.AcquireAsync(second, 1, Long);
        _ = harness.AcquireAsync(second, 1, Long);
        Data(Fault(harness.AcquireAsync(harness.Open(process: 13), 1, Long))).LimitBytes.Should().Be(4, "a user has half");
        _ = harness.AcquireAsync(harness.Open(user: 1001, process: 14), 1, Long);
        _ = harness.AcquireAsync(harness.Open(user: 1001, process: 15), 1, Long);
        Data(Fault(harness.AcquireAsync(harness.Open(user: 1002, process: 16), 1, Long))).LimitBytes.Should().Be(6, "a quarter is kept");
        harness.AcquireAsync(harness.Open(user: 0, privileged: true), 1, Long).IsCompleted.Should().BeFalse();
    }

    [Fact]
    public void Row27_WaitersThatEnd_LeaveNoReservation()
    {
        var harness = new EngineHarness(settings => settings with { MaxUserBytes = 150 * Unit });
        var holder = harness.Open(user: 1);
        var lease = harness.Acquire(holder, 100);
        using var cancellation = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 5).Select(_ => harness.Open()).ToList();
        var withdrawn = Token.Create();
        Task<LeaseGrant>[] waiting =
        [
            harness.AcquireAsync(clients[0], 30, Long, token: cancellation.Token),
            harness.AcquireAsync(clients[1], 30, TimeSpan.FromSeconds(2)),
            harness.AcquireAsync(clients[2], 30, Long, id: withdrawn),
            harness.AcquireAsync(clients[3], 30, Long),
            harness.AcquireAsync(clients[4], 30, Long),
        ];

        cancellation.Cancel();
        harness.Advance(2000);
        harness.Engine.Withdraw(clients[2], withdrawn).Should().BeTrue();
        harness.Engine.Disconnect(clients[3]);
        harness.Engine.Exited(clients[4]);

        waiting[0].IsCanceled.Should().BeTrue();
        Data(Fault(waiting[1])).Cause.Should().Be("Limit");
        waiting.Skip(2).Should().AllSatisfy(task => Fault(task).Code.Should().Be(PoolFaultCode.Cancelled));
        harness.Statistics.Waiting.Should().Be(0);
        harness.Engine.Release(holder, lease.LeaseId);
        harness.Acquire(harness.Open(), 100);
    }

    [Fact]
    public void Waiting_LongerThanMaxWaitOrManyMoreThanMaxWaiting_IsRefused()
    {
        var harness = new EngineHarness(settings => settings with { MaxWait = TimeSpan.FromSeconds(3), MaxWaiting = 1 });
        var session = harness.Open();
        harness.Acquire(session, 100);

        var waiting = harness.AcquireAsync(session, 1, TimeSpan.MaxValue);
        Data(Fault(harness.AcquireAsync(session, 1, Long))).LimitName.Should().Be("MaxWaiting");
        harness.Advance(2999);
        waiting.IsCompleted.Should().BeFalse();
        harness.Advance(1);
        Fault(waiting).Code.Should().Be(PoolFaultCode.ResourceExhausted);
    }

    [Fact]
    public void Acquire_WithoutTimeout_WaitsForMemoryThatHasToBeMade()
    {
        var harness = new EngineHarness();
        harness.Source.IsManual = true;

        var request = harness.AcquireAsync(harness.Open(), 50);

        harness.Statistics.PendingBytes.Should().Be(50 * Unit);
        harness.Advance(60_000);
        harness.Source.EndAll();
        Sent(request);
    }

    [Fact]
    public void Acquire_WhileIdleMemoryDoesNotFit_DiscardsItFirst()
    {
        var harness = new EngineHarness();
        var (first, second) = (harness.Open(), harness.Open(user: 1001));
        var lease = harness.Acquire(first, 90);
        harness.Engine.Release(first, lease.LeaseId);
        harness.Statistics.IdleBytes.Should().Be(90 * Unit);
        harness.Source.IsManual = true;

        var request = harness.AcquireAsync(second, 50);

        harness.Source.Pending.Should().ContainSingle().Which.Kind.Should().Be(SimulatedOperation.Discard, "its bytes are not used before it is gone");
        Piece(lease).FreedPages.Should().BeTrue();
        harness.Source.Pending[0].End();
        harness.Source.Pending.Should().ContainSingle().Which.Kind.Should().Be(SimulatedOperation.Create);
        harness.Source.EndAll();
        Sent(request);
        harness.Source.TakenBytes.Should().Be(50 * Unit);
    }

    [Fact]
    public void Acquire_WhileReturnedMemoryIsBeingZeroed_SaysThatItIsPending()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 90);
        harness.Source.IsManual = true;
        harness.Engine.Release(session, lease.LeaseId);

        Data(Fault(harness.AcquireAsync(session, 20))).Cause.Should().Be("Pending");
    }

    [Fact]
    public void Acquire_WhenTheMemoryCannotBeHad_IsRefusedWithItsReasonAndAllGivenBack()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var failure = new MemorySourceException("mlock", 12, "ENOMEM", 50 * Unit, 8 << 20, "Raise LimitMEMLOCK.") { QuarantinedBytes = Unit };
        harness.Source.Failures.Enqueue(failure);

        var fault = Fault(harness.AcquireAsync(session, 50));

        fault.Message.Should().Contain("Raise LimitMEMLOCK.");
        Data(fault).Cause.Should().Be("NoMemory");
        harness.Statistics.PendingBytes.Should().Be(Unit, "what could not be unpinned stays counted");
        harness.Acquire(session, 99);
    }

    /// <summary>A client that asks for what the host does not have, as often as it likes, must not fill the log.</summary>
    [Fact]
    public void Acquire_WhenTheMemoryCannotBeHadAgainAndAgain_IsOneWarningASecond()
    {
        var harness = new EngineHarness();
        var clients = Enumerable.Range(0, 3).Select(i => harness.Open(process: i)).ToList();

        for (var second = 1; second <= 3; second++)
        {
            for (var i = 0; i < 100; i++)
            {
                harness.Source.Failures.Enqueue(new MemorySourceException("mlock", 12, "ENOMEM", Unit, 8 << 20, $"Raise it, in second {second}."));
                Fault(harness.AcquireAsync(clients[i % 3], 1));
                harness.Advance(9);
            }

            harness.Logger.Entries.Where(entry => entry.Level >= LogLevel.Warning).Should().HaveCount(second)
                .And.Subject.Last().Message.Should().Contain($"in second {second}");
            harness.Advance(100);
        }
    }

    [Fact]
    public void SingleSegment_IsOneSegmentThoughSmallerOnesAreIdle()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 4);
        harness.Engine.Release(session, lease.LeaseId);

        harness.Acquire(session, 8, single: true).Segments.Should().ContainSingle().Which.Segment.LengthBytes.Should().Be(8 * Unit);
    }

    [Fact]
    public void S4_Retry_WithTheSameRequestId_GetsTheSameLease()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var id = Token.Create();
        var lease = Sent(harness.AcquireAsync(session, 10, id: id));

        var again = Sent(harness.AcquireAsync(session, 10, id: id));

        again.LeaseId.Should().Be(lease.LeaseId);
        again.Token.Should().Be(lease.Token);
        again.Segments.Should().Equal(lease.Segments);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        Sent(harness.AcquireAsync(harness.Open(), 10, id: id)).LeaseId.Should().NotBe(lease.LeaseId, "ids are each client's own");
        Fault(harness.AcquireAsync(session, 11, id: id)).Code.Should().Be(PoolFaultCode.AlreadyExists);
    }

    [Fact]
    public void S4_Retry_WhileTheFirstStillWaits_JoinsIt()
    {
        var harness = new EngineHarness();
        harness.Source.IsManual = true;
        var session = harness.Open();
        var id = Token.Create();
        using var cancellation = new CancellationTokenSource();

        var first = harness.AcquireAsync(session, 10, id: id, token: cancellation.Token);
        var second = harness.AcquireAsync(session, 10, id: id);
        cancellation.Cancel();
        first.IsCanceled.Should().BeTrue();
        harness.Source.EndAll();

        Sent(second);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Statistics.TotalLeases.Should().Be(1);
    }

    [Fact]
    public void S4_Retry_OfAGrowth_GetsTheSameSegmentsUntilTheyAreGivenBack()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 4);
        var options = Options(6);

        var growth = Sent(harness.Engine.GrowAsync(session, lease.LeaseId, options, CancellationToken.None));
        var again = Sent(harness.Engine.GrowAsync(session, lease.LeaseId, options, CancellationToken.None));

        again.Segments.Should().Equal(growth.Segments);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Engine.Shrink(session, lease.LeaseId, [growth.Segments[0].Id]);
        harness.Statistics.LeasedBytes.Should().Be(4 * Unit);
    }

    [Fact]
    public void Withdraw_OfAGrantedLeaseOrGrowth_UndoesItAndForbidsIt()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var (acquisition, growth) = (Token.Create(), Token.Create());
        var lease = Sent(harness.AcquireAsync(session, 10, id: acquisition));
        Sent(harness.Engine.GrowAsync(session, lease.LeaseId, Options(5, id: growth), CancellationToken.None));

        harness.Engine.Withdraw(session, growth).Should().BeTrue();
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Engine.Withdraw(session, acquisition).Should().BeTrue();
        harness.Statistics.LeasedBytes.Should().Be(0);
        harness.Engine.Withdraw(session, acquisition).Should().BeFalse();
        Fault(harness.AcquireAsync(session, 10, id: acquisition)).Code.Should().Be(PoolFaultCode.Cancelled);
    }

    [Fact]
    public void Withdraw_BeforeTheRequestComes_IsRememberedButNotForEver()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var id = Token.Create();

        harness.Engine.Withdraw(session, id).Should().BeFalse();
        Fault(harness.AcquireAsync(session, 10, id: id)).Code.Should().Be(PoolFaultCode.Cancelled);
        for (var i = 0; i < 64; i++)
        {
            harness.Engine.Withdraw(session, Token.Create());
        }

        Sent(harness.AcquireAsync(session, 10, id: id));
    }

    [Fact]
    public void Withdraw_WhileASegmentIsMade_KeepsItForOthers()
    {
        var harness = new EngineHarness();
        harness.Source.IsManual = true;
        var session = harness.Open();
        var id = Token.Create();
        var request = harness.AcquireAsync(session, 4, id: id);

        harness.Engine.Withdraw(session, id).Should().BeTrue();

        Fault(request).Code.Should().Be(PoolFaultCode.Cancelled);
        harness.Source.Pending[0].IsCancelled.Should().BeTrue();
        harness.Statistics.PendingBytes.Should().Be(4 * Unit, "it is still being made");
        harness.Source.EndAll();
        harness.Statistics.IdleBytes.Should().Be(4 * Unit);
    }
}
