using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

public class PoolEngineSharingTests
{
    [Fact]
    public void Attach_ByTheSameUser_GetsTheSameMemoryAndCountsOnce()
    {
        var harness = new EngineHarness();
        var (owner, guest) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(owner, 10);

        using var shared = harness.Engine.Attach(guest, lease.Token);

        shared.LeaseId.Should().Be(lease.LeaseId);
        shared.Segments.Should().Equal(lease.Segments);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Engine.List().Should().ContainSingle().Which.HolderCount.Should().Be(2);
    }

    [Fact]
    public void Attach_ByOthersOrWithoutTheToken_IsNotFound()
    {
        var harness = new EngineHarness();
        var lease = harness.Acquire(harness.Open(), 10);
        var unknown = harness.Open(user: null);
        var nobodys = harness.Acquire(unknown, 10);

        Fault(() => harness.Engine.Attach(harness.Open(user: 1001), lease.Token)).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(() => harness.Engine.Attach(harness.Open(), Token.Create())).Code.Should().Be(PoolFaultCode.NotFound);
        Fault(() => harness.Engine.Attach(harness.Open(user: null), nobodys.Token)).Code.Should().Be(PoolFaultCode.NotFound);
        harness.Engine.Attach(unknown, nobodys.Token).Dispose();
    }

    [Fact]
    public void OwnersDeath_LeavesTheOthersUseIntactAndMovesTheQuota()
    {
        var harness = new EngineHarness(settings => settings with { MaxClientBytes = 10 * Unit });
        var (owner, guest) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(owner, 10);
        harness.Engine.Attach(guest, lease.Token).Dispose();

        harness.Engine.Exited(owner);
        harness.Advance(250);

        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        Piece(lease).ClearCount.Should().Be(0);
        Data(Fault(harness.AcquireAsync(guest, 1))).LimitName.Should().Be("MaxClientBytes");
        harness.Engine.Exited(guest);
        harness.Advance(250);
        Piece(harness.Acquire(harness.Open(), 10)).Should().BeSameAs(Piece(lease), "all who had it are proven to be gone");
    }

    [Fact]
    public void WhoInheritsALease_MayExceedItsQuota_AndGetsNoMoreUntilItIsBelow()
    {
        var harness = new EngineHarness(settings => settings with { MaxClientBytes = 10 * Unit });
        var (owner, heir) = (harness.Open(process: 41), harness.Open(process: 42));
        var shared = harness.Acquire(owner, 10);
        var own = harness.Acquire(heir, 8);

        harness.Engine.Attach(heir, shared.Token).Dispose();
        harness.Acquire(heir, 2).Dispose();
        harness.Engine.Release(owner, shared.LeaseId);

        Data(Fault(harness.AcquireAsync(heir, 1))).LimitName.Should().Be("MaxClientBytes");
        harness.Acquire(owner, 10).Dispose();
        harness.Engine.Release(heir, own.LeaseId);
        Data(Fault(harness.AcquireAsync(heir, 1))).LimitName.Should().Be("MaxClientBytes", "it has 12 of 10");
        harness.Engine.Release(heir, shared.LeaseId);
        harness.Acquire(heir, 8);
    }

    [Fact]
    public void LastHolderDies_WhileAnotherThatLetGoLives_TheMemoryIsDiscarded()
    {
        var harness = new EngineHarness();
        var (owner, guest) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(owner, 10);
        harness.Engine.Attach(guest, lease.Token).Dispose();
        harness.Engine.Close(owner);

        harness.Engine.Exited(guest);
        harness.Advance(250);

        Piece(lease).FreedPages.Should().BeTrue("the first could still write to it");
    }

    [Fact]
    public void HolderThatLetGoDiesLater_TheMemoryIsZeroedAgain()
    {
        var harness = new EngineHarness();
        var (owner, guest) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(owner, 10);
        harness.Engine.Attach(guest, lease.Token).Dispose();
        harness.Engine.Release(owner, lease.LeaseId);
        harness.Engine.Exited(guest);
        harness.Advance(250);
        Piece(lease).ClearCount.Should().Be(1, "now the owner alone could have it");

        harness.Engine.Exited(owner);
        harness.Advance(250);

        Piece(lease).ClearCount.Should().Be(2);
    }

    [Fact]
    public void Shrink_ByOneHolder_FreesNothingOfTheOther()
    {
        var harness = new EngineHarness();
        var (owner, guest) = (harness.Open(), harness.Open());
        var lease = harness.Acquire(owner, 10);
        harness.Engine.Attach(guest, lease.Token).Dispose();

        harness.Engine.Shrink(owner, lease.LeaseId, [lease.Segments[0].Id]);
        harness.Statistics.LeasedBytes.Should().Be(10 * Unit);
        harness.Engine.Shrink(guest, lease.LeaseId, [lease.Segments[0].Id]);

        harness.Statistics.LeasedBytes.Should().Be(0);
        harness.Engine.List().Should().ContainSingle().Which.Should().Match<LeaseSummary>(summary => summary.SegmentCount == 0 && summary.HolderCount == 2);
    }

    [Fact]
    public void S9_ListInspectRevoke_ShowWhoHasWhat()
    {
        var harness = new EngineHarness();
        var (owner, other) = (harness.Open(process: 42, name: "trainer"), harness.Open());
        var lease = Sent(harness.Engine.AcquireAsync(owner, Options(10) with { Name = "kv" }, CancellationToken.None));
        harness.Grow(owner, lease, 5);
        harness.Acquire(other, 1);
        harness.Advance(1500);

        var summary = harness.Engine.List(owner).Should().ContainSingle().Which;

        summary.Should().BeEquivalentTo(new
        {
            Id = lease.LeaseId,
            Name = "kv",
            Owner = new { ClientName = "trainer", ProcessId = 42 },
            LengthBytes = 15 * Unit,
            SegmentCount = 2,
            HolderCount = 1,
            State = LeaseState.Leased,
            Age = TimeSpan.FromSeconds(1.5),
        });
        harness.Engine.List().Should().HaveCount(2);
        harness.Engine.Inspect(lease.LeaseId, owner).Segments.Should().HaveCount(2);
        Fault(() => harness.Engine.Inspect(lease.LeaseId, other)).Code.Should().Be(PoolFaultCode.NotFound);
        harness.Engine.Revoke(lease.LeaseId, "too large");
        harness.Engine.Revoke(lease.LeaseId, "again");
        harness.Engine.GetEvents(lease.LeaseId).Select(record => record.Kind).Should().Equal("acquired", "grown", "revoked");
        Fault(() => harness.Engine.Revoke(42, "")).Code.Should().Be(PoolFaultCode.NotFound);
    }

    [Fact]
    public void Resume_ByTheSameProcess_GetsItsLeasesByAnotherIsNotFound()
    {
        var harness = new EngineHarness();
        var session = harness.Open(process: 42);
        var lease = harness.Acquire(session, 10);
        harness.Engine.Disconnect(session);

        foreach (var options in new[] { session.Options with { ProcessId = 43 }, session.Options with { UserId = 1001 } })
        {
            Fault(() => harness.Engine.Resume(session, options)).Code.Should().Be(PoolFaultCode.NotFound);
        }

        var grants = harness.Engine.Resume(session, session.Options with { ProcessId = null });
        grants.Should().ContainSingle().Which.Segments.Should().Equal(lease.Segments);
        harness.Engine.List().Should().ContainSingle().Which.State.Should().Be(LeaseState.Leased);
        harness.Engine.Exited(session);
        Fault(() => harness.Engine.Resume(session, session.Options)).Code.Should().Be(PoolFaultCode.NotFound);
    }

    [Fact]
    public void Disconnect_OfAWatchedClientWithoutLeases_EndsItInTime()
    {
        var harness = new EngineHarness(settings => settings with { MaxSessions = 1 });
        var session = harness.Open();
        harness.Engine.Disconnect(session);
        harness.Advance(999);
        harness.Engine.Resume(session, session.Options).Should().BeEmpty();
        harness.Advance(10_000);
        harness.Engine.Disconnect(session);

        harness.Advance(1000);

        harness.Engine.Find(session.Token).Should().BeNull();
        harness.Open();
    }

    [Fact]
    public void Disconnect_OfOneOfTwoConnections_DetachesNothing()
    {
        var harness = new EngineHarness();
        var session = harness.Open();
        harness.Acquire(session, 10);
        harness.Engine.Resume(session, session.Options).ToList().ForEach(grant => grant.Dispose());

        harness.Engine.Disconnect(session);
        harness.Engine.List()[0].State.Should().Be(LeaseState.Leased);
        harness.Engine.Disconnect(session);
        harness.Engine.List()[0].State.Should().Be(LeaseState.Detached);
    }
}
