using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Engine;
using static LpLlm.Memory.Transport.EngineHarness;

namespace LpLlm.Memory.Transport;

/// <summary>One budget for models and pools' leases: floors, and how the two press on each other.</summary>
public class PoolEngineShareTests
{
    private static EngineHarness Floors(long models, long pools) => new(settings => settings with { ModelFloorBytes = models * Unit, PoolFloorBytes = pools * Unit });

    [Fact]
    public void Floors_AreKeptForTheirKind()
    {
        var harness = Floors(models: 40, pools: 30);
        var (store, client) = (harness.OpenStore(), harness.Open());

        Data(Fault(harness.AcquireAsync(client, 61))).LimitBytes.Should().Be(60 * Unit);
        Data(Fault(harness.AcquireAsync(store, 71))).LimitBytes.Should().Be(70 * Unit);
        harness.Acquire(client, 60);
        Fault(harness.AcquireAsync(client, 1)).Message.Should().Contain("Pools");
        harness.Acquire(store, 40);
        var full = Data(Fault(harness.AcquireAsync(store, 1)));

        (full.LimitName, full.FreeBytes).Should().Be(("CapacityBytes", 0));
        harness.Statistics.LeasedBytes.Should().Be(100 * Unit);
        harness.Statistics.ModelBytes.Should().Be(40 * Unit);
    }

    [Fact]
    public void ReturnedMemory_IsTheKindsAgain()
    {
        var harness = Floors(models: 50, pools: 50);
        var (store, client) = (harness.OpenStore(), harness.Open());
        var model = harness.Acquire(store, 50, single: true);
        Fault(harness.AcquireAsync(store, 1));

        harness.Engine.Release(store, model.LeaseId);

        harness.Statistics.ModelBytes.Should().Be(0);
        harness.Acquire(store, 50, single: true);
        harness.Acquire(client, 50);
    }

    [Fact]
    public async Task WaitingPool_DoesNotHoldUpAModelWithinItsFloor_NorTheOtherWayRound()
    {
        var harness = Floors(models: 50, pools: 50);
        var (store, client) = (harness.OpenStore(), harness.Open());
        var lease = harness.Acquire(client, 50);
        var model = harness.Acquire(store, 40);
        var second = harness.AcquireAsync(client, 10, TimeSpan.FromMinutes(1));

        harness.Acquire(store, 10);
        var third = harness.AcquireAsync(store, 20, TimeSpan.FromMinutes(1));
        harness.Engine.Release(client, lease.LeaseId);
        (await second.DefaultTimeout()).Dispose();
        third.IsCompleted.Should().BeFalse();
        harness.Engine.Release(store, model.LeaseId);

        (await third.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task PoolNeedsRoom_TheStoreIsAskedToEvict_OnlyWhatIsAboveItsFloor()
    {
        var harness = Floors(models: 20, pools: 20);
        var store = harness.OpenStore();
        var client = harness.Open();
        var wishes = harness.Engine.WatchAsync(store, CancellationToken.None).GetAsyncEnumerator();
        var model = harness.Acquire(store, 80, single: true);

        var waiting = harness.AcquireAsync(client, 30, TimeSpan.FromMinutes(1));
        (await wishes.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        wishes.Current.Should().Be(new PoolEvent.Trim(10 * Unit));
        harness.Engine.Release(store, model.LeaseId);
        (await waiting.DefaultTimeout()).Dispose();

        // At its floor the store is left alone, and so is it for what no eviction could give.
        harness.Acquire(store, 20);
        var beyond = harness.AcquireAsync(client, 60, TimeSpan.FromSeconds(1));
        var next = wishes.MoveNextAsync();
        next.IsCompleted.Should().BeFalse();
        harness.Advance(1_001);
        Fault(beyond).Code.Should().Be(PoolFaultCode.ResourceExhausted);
    }

    [Fact]
    public async Task ModelNeedsRoom_ClientsAreAskedForWhatIsIdle()
    {
        var harness = Floors(models: 10, pools: 10);
        var (store, client) = (harness.OpenStore(), harness.Open());
        var lease = harness.Acquire(client, 60);
        var wishes = harness.Engine.WatchAsync(client, CancellationToken.None).GetAsyncEnumerator();

        var waiting = harness.AcquireAsync(store, 50);
        (await wishes.MoveNextAsync().AsTask().DefaultTimeout()).Should().BeTrue();
        wishes.Current.Should().Be(new PoolEvent.Trim(10 * Unit));
        harness.Engine.Release(client, lease.LeaseId);

        (await waiting.DefaultTimeout()).Dispose();
    }

    [Fact]
    public void StoresSegments_AreNotSealedForGood_AndTakeNoneThatAre()
    {
        var harness = new EngineHarness();
        var (store, client) = (harness.OpenStore(), harness.Open(own: true));
        var lease = harness.Acquire(client, 4, single: true);
        Piece(lease).IsReadOnly.Should().BeFalse("it is sealed before the client gets it");
        harness.Engine.Release(client, lease.LeaseId);

        var model = harness.Acquire(store, 4, single: true);

        Piece(model).Should().NotBeSameAs(Piece(lease), "that one can never be made read-only");
        Piece(model).IsReadOnly.Should().BeNull();
        harness.Engine.Release(store, model.LeaseId);
        Piece(harness.Acquire(store, 4, single: true)).Should().BeSameAs(Piece(model), "nobody else has had it");
    }

    [Fact]
    public void ClientsLimits_AreNotTheStores()
    {
        var harness = new EngineHarness(settings => settings with
        {
            MaxLeaseBytes = Unit,
            MaxClientBytes = Unit,
            MaxUserBytes = Unit,
            MaxLeasesPerClient = 1,
            MaxSessions = 1,
        });
        var store = harness.OpenStore();
        harness.Acquire(store, 10);
        harness.Acquire(store, 10);

        harness.Acquire(harness.Open(), 1);

        harness.Statistics.Sessions.Should().Be(1, "the store is no client");
    }

    [Fact]
    public void FailedRequest_GivesItsShareBack()
    {
        var harness = Floors(models: 50, pools: 50);
        var store = harness.OpenStore();
        harness.Source.Failures.Enqueue(new MemorySourceException("mlock", 12, "ENOMEM", Unit, 0, "Raise it."));

        Data(Fault(harness.AcquireAsync(store, 50, single: true))).Cause.Should().Be("NoMemory");

        harness.Statistics.ModelBytes.Should().Be(0);
        harness.Acquire(store, 50, single: true);
    }
}
