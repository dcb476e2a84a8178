using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineLimitTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    public async Task S6_Acquire_OfANegativeLengthOrNone_IsRefusedAndChangesNothing(long lengthBytes)
    {
        var harness = new EngineHarness();

        var act = () => harness.Engine.AcquireAsync(harness.Open(), Options(1) with { LengthBytes = lengthBytes }, CancellationToken.None);

        var fault = (await act.Should().ThrowAsync<PoolFaultException>()).Which;
        fault.Code.Should().Be(PoolFaultCode.InvalidArgument);
        fault.Message.Should().Contain($"{lengthBytes}");
        harness.Statistics.PendingBytes.Should().Be(0);
    }

    [Theory]
    [InlineData((100 * Unit) + 1)]
    [InlineData(1L << 62)]
    [InlineData(long.MaxValue)]
    public void Acquire_AboveTheCapacity_IsRefusedAtOnceThoughItCouldWait(long lengthBytes)
    {
        var harness = new EngineHarness();
        var options = Options(1, TimeSpan.FromMinutes(1)) with { LengthBytes = lengthBytes };

        var fault = Fault(harness.Engine.AcquireAsync(harness.Open(), options, CancellationToken.None));

        fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        var data = Data(fault);
        data.Cause.Should().Be("Limit");
        data.LimitName.Should().Be("CapacityBytes");
        data.LimitBytes.Should().Be(100 * Unit);
        data.RequestedBytes.Should().Be(lengthBytes);
        data.FreeBytes.Should().Be(100 * Unit);
        data.Remedy.Should().NotBeEmpty();
        harness.Statistics.RefusedRequests.Should().Be(1);
    }

    [Fact]
    public void Acquire_WithBadOptions_NamesThem()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        AcquireOptions[] bad =
        [
            Options(1) with { RequestId = default },
            Options(1) with { Priority = (RentPriority)2 },
            Options(1) with { Timeout = TimeSpan.FromMilliseconds(-1) },
            Options(1) with { Name = new string('x', 129) },
        ];

        foreach (var options in bad)
        {
            Fault(harness.Engine.AcquireAsync(session, options, CancellationToken.None)).Code.Should().Be(PoolFaultCode.InvalidArgument);
        }
    }

    [Fact]
    public void Limits_OfLeaseClientAndUser_RefuseWhatExceedsThemByName()
    {
        var harness = new EngineHarness(settings => settings with { MaxLeaseBytes = 10 * Unit, MaxClientBytes = 15 * Unit, MaxUserBytes = 20 * Unit });
        var (first, second) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(first, 8);

        Data(Fault(harness.Engine.GrowAsync(first, lease.LeaseId, Options(3), CancellationToken.None))).LimitName.Should().Be("MaxLeaseBytes");
        Data(Fault(harness.AcquireAsync(first, 8))).LimitName.Should().Be("MaxClientBytes");
        harness.Acquire(second, 10);
        Data(Fault(harness.AcquireAsync(second, 3))).LimitName.Should().Be("MaxUserBytes");
        harness.Acquire(harness.Open(user: 1001), 10);
    }

    [Fact]
    public void Quotas_OfUsersThatAreNotKnown_CountEachSessionAlone()
    {
        var harness = new EngineHarness(settings => settings with { MaxUserBytes = 10 * Unit });

        harness.Acquire(harness.Open(user: null), 10);
        harness.Acquire(harness.Open(user: null), 10);

        harness.Statistics.LeasedBytes.Should().Be(20 * Unit);
    }

    [Fact]
    public void Row21_Quota_OfManyConnectionsOfOneUser_IsNeverExceededAndRefundedOnce()
    {
        var harness = new EngineHarness(settings => settings with { MaxUserBytes = 40 * Unit });
        harness.Source.IsManual = true;
        var sessions = Enumerable.Range(0, 50).Select(_ => harness.Open()).ToList();

        // 50 clients ask for 1.5 times the quota while nothing is made yet.
        var answers = sessions.ConvertAll(session => harness.AcquireAsync(session, 1, TimeSpan.FromSeconds(9)))
            .Concat(sessions.ConvertAll(session => harness.AcquireAsync(session, 1, TimeSpan.FromSeconds(9)))).ToList();

        answers.Count(answer => answer.IsFaulted).Should().Be(60);
        harness.Source.EndAll();
        harness.Statistics.LeasedBytes.Should().Be(40 * Unit);
        sessions.ForEach(harness.Engine.Exited);
        sessions.ForEach(harness.Engine.Exited);
        harness.Statistics.LeasedBytes.Should().Be(0);
        harness.Source.IsManual = false;
        harness.Acquire(harness.Open(), 40).Segments.Should().NotBeEmpty();
        Data(Fault(harness.AcquireAsync(harness.Open(), 1))).LimitName.Should().Be("MaxUserBytes");
    }

    [Fact]
    public async Task Row21_Quota_UnderConcurrentClients_HoldsAtEverySample()
    {
        var harness = new EngineHarness(settings => settings with { MaxUserBytes = 30 * Unit });
        var peak = 0L;

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            var session = harness.Open();
            for (var i = 0; i < 200; i++)
            {
                try
                {
                    using var grant = await harness.AcquireAsync(session, 5);
                    Interlocked.Exchange(ref peak, Math.Max(Volatile.Read(ref peak), harness.Statistics.LeasedBytes));
                    harness.Engine.Release(session, grant.LeaseId);
                }
                catch (PoolFaultException fault)
                {
                    fault.Code.Should().Be(PoolFaultCode.ResourceExhausted);
                }
            }

            harness.Engine.Exited(session);
        }))).WaitAsync(TimeSpan.FromSeconds(60));

        peak.Should().BePositive().And.BeLessThanOrEqualTo(30 * Unit);
        harness.Statistics.LeasedBytes.Should().Be(0);
        harness.Acquire(harness.Open(), 30);
    }

    [Fact]
    public void Open_AboveMaxSessions_IsRefusedUntilOneEnds()
    {
        var harness = new EngineHarness(settings => settings with { MaxSessions = 1 });
        var session = harness.Open();

        Data(Fault(() => harness.Open())).LimitName.Should().Be("MaxSessions");
        harness.Engine.Close(session);
        harness.Open();
    }

    [Fact]
    public void Open_OfOneProcessOrUser_LeavesSessionsForOthersAndForTheServersOwn()
    {
        var harness = new EngineHarness(settings => settings with { MaxSessions = 8 });
        harness.Open(process: 1);
        harness.Open(process: 1);

        Data(Fault(() => harness.Open(process: 1))).LimitBytes.Should().Be(2);
        harness.Open(process: 2);
        harness.Open(process: 3);
        Data(Fault(() => harness.Open(process: 4))).LimitBytes.Should().Be(4);
        harness.Open(user: 1001);
        harness.Open(user: null);
        Data(Fault(() => harness.Open(user: 1002))).LimitBytes.Should().Be(6);
        harness.Open(user: 0, process: 5, privileged: true);
        harness.Open(user: 0, process: 5, privileged: true);
        Data(Fault(() => harness.Open(user: 0, process: 6, privileged: true))).LimitBytes.Should().Be(8);
    }

    [Fact]
    public void MaxClientBytes_CountsAllSessionsOfAProcess()
    {
        var harness = new EngineHarness(settings => settings with { MaxClientBytes = 10 * Unit });
        var first = harness.Open(process: 7);
        var lease = harness.Acquire(first, 10);
        var second = harness.Open(process: 7);

        Data(Fault(harness.AcquireAsync(second, 1))).LimitName.Should().Be("MaxClientBytes");
        harness.Acquire(harness.Open(process: 8), 10);
        harness.Engine.Release(first, lease.LeaseId);
        harness.Acquire(second, 10);
    }

    [Fact]
    public void MaxSegments_IsNeverExceeded_IdleOnesMakePlace()
    {
        var harness = new EngineHarness(settings => settings with { MaxSegments = 2 });
        var session = harness.Open();
        var idle = harness.Acquire(session, 1);
        var kept = harness.Acquire(session, 2);
        Data(Fault(harness.AcquireAsync(harness.Open(), 3))).LimitName.Should().Be("MaxSegments");
        harness.Engine.Release(session, idle.LeaseId);

        harness.Acquire(harness.Open(), 3);

        harness.Source.Live.Should().HaveCount(2);
        Piece(idle).FreedPages.Should().BeTrue();
        harness.Engine.Release(session, kept.LeaseId);
        harness.Acquire(session, 2);
    }

    [Fact]
    public void MaxSegments_OfARequestThatEndedBeforeItsSegmentWasMade_IsFreeAgain()
    {
        var harness = new EngineHarness(settings => settings with { MaxSegments = 2 });
        var first = harness.Open();
        harness.Engine.Release(first, harness.Acquire(first, 90).LeaseId);
        harness.Source.IsManual = true;
        using var cancellation = new CancellationTokenSource();
        _ = harness.AcquireAsync(harness.Open(user: 1001), 50, token: cancellation.Token);
        cancellation.Cancel();
        harness.Source.EndAll();
        harness.Source.IsManual = false;

        harness.Acquire(first, 1);
        harness.Acquire(first, 2);
    }

    [Fact]
    public void Growths_ThatWereGivenBackPieceByPiece_AreForgotten()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var lease = harness.Acquire(session, 4);
        var growths = Enumerable.Range(0, 20).Select(_ => harness.Grow(session, lease, 4)).ToList();
        session.Requests.Should().HaveCount(21);

        growths.ForEach(growth => growth.Segments.ToList().ForEach(segment => harness.Engine.Shrink(session, lease.LeaseId, [segment.Id])));

        session.Requests.Should().ContainSingle();
    }

    [Fact]
    public void MaxLeasesPerClient_CountsLeasesThatWaitAndThatAreShared()
    {
        var harness = new EngineHarness(settings => settings with { MaxLeasesPerClient = 2, CapacityBytes = 20 * Unit });
        var (first, second) = (harness.Open(), harness.Open());
        var shared = harness.Acquire(second, 4);
        harness.Acquire(first, 10);
        _ = harness.AcquireAsync(first, 10, TimeSpan.FromSeconds(1));

        Data(Fault(harness.AcquireAsync(first, 1))).LimitName.Should().Be("MaxLeasesPerClient");
        harness.Advance(1000);
        harness.Engine.Attach(first, shared.Token).Dispose();
        Data(Fault(harness.AcquireAsync(first, 1))).LimitName.Should().Be("MaxLeasesPerClient");
    }

    [Fact]
    public async Task MaxSegmentsPerLease_IsNeverExceeded_TheLastSegmentTakesTheRest()
    {
        var harness = new EngineHarness(settings => settings with { MaxSegmentsPerLease = 2, WarmBytes = 3 * Standard });
        await harness.Engine.StartAsync(CancellationToken.None);
        var session = harness.Open();

        var lease = harness.Acquire(session, 12);

        lease.Segments.Select(segment => segment.Segment.LengthBytes / Unit).Should().Equal(4, 8);
        Data(Fault(harness.Engine.GrowAsync(session, lease.LeaseId, Options(1), CancellationToken.None))).LimitName.Should().Be("MaxSegmentsPerLease");
    }

    [Fact]
    public void Row34_Waste_OfManySizes_IsTheRoundingAlone()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        var random = new Random(34);
        var leases = new List<(ulong Id, long LengthBytes)>();
        for (var i = 0; i < 20_000; i++)
        {
            var lengthBytes = random.NextInt64(1, 12 * Unit);
            var used = leases.Sum(lease => RoundUp(lease.LengthBytes));
            if (leases.Count == 64 || used + RoundUp(lengthBytes) > 100 * Unit)
            {
                var victim = random.Next(leases.Count);
                harness.Engine.Release(session, leases[victim].Id);
                leases.RemoveAt(victim);
                continue;
            }

            // Whatever lengths came before, all that is not leased can be had.
            var lease = Sent(harness.Engine.AcquireAsync(session, Options(1) with { LengthBytes = lengthBytes }, CancellationToken.None));
            leases.Add((lease.LeaseId, lengthBytes));
            harness.Statistics.LeasedBytes.Should().Be(used + RoundUp(lengthBytes));
            harness.Source.TakenBytes.Should().BeLessThanOrEqualTo(100 * Unit);
        }

        static long RoundUp(long lengthBytes) => (lengthBytes + Unit - 1) / Unit * Unit;
    }
}
