using LpLlm.Memory.Pooling;
using LpLlm.Memory.Tests.Pooling;
using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Tests.Hybrid;

public class HybridDisposalTests : HybridFixture
{
    [Fact]
    public async Task Dispose_WithLiveLeases_WaitsThenNamesCountsPerMember()
    {
        using var chain = Pool("chain");
        var sut = Hybrid(Class(64 * KiB, 4), Chain(chain));
        PinnedLease[] leases = [sut.Rent(64 * KiB), sut.Rent(64 * KiB), sut.Rent(1000)];
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);

        Time.Advance(TimeSpan.FromSeconds(2));

        (await disposing.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("3 live leases").And.Contain("2 s").And.Contain("2 (131072 B) from 'class-65536'")
            .And.Contain("1 (1000 B) from 'chain'");
        Array.ForEach(leases, lease => lease.Dispose());
        sut.Dispose();
        sut.GetSnapshot().ReservedBytes.Should().Be(MiB, "the last leases took the size class's memory with them");
    }

    [Fact]
    public async Task Dispose_WaitsForLeasesOfChainMembersToo()
    {
        using var chain = Pool("chain");
        var sut = Hybrid(Chain(chain));
        var lease = sut.Rent(1000);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
        disposing.IsCompleted.Should().BeFalse();

        lease.Dispose();

        await disposing.DefaultTimeout();
    }

    [Fact]
    public void Dispose_LeavesChainMembersToTheirOwners()
    {
        using var chain = Pool("chain");
        var own = Class(64 * KiB, 4);
        var sut = Hybrid(own, Chain(chain));
        using var others = chain.Rent(1000);

        sut.Dispose();

        chain.Rent(1000).Dispose();
        own.Pool.Invoking(pool => pool.Rent(1)).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public async Task Dispose_WhileRentsWait_FailsThem()
    {
        using var chain = Pool("chain");
        var sut = Hybrid(Chain(chain));
        using var all = chain.Rent(MiB);
        var waiting = sut.RentAsync(1000).AsTask();

        await sut.DisposeAsync().AsTask().DefaultTimeout();

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Dispose_RacingWithRents_WaitsForEveryLeaseHandedOut()
    {
        using var chain = Pool("chain", 64 * MiB);
        for (var round = 0; round < 200; round++)
        {
            var sut = Hybrid(Chain(chain));
            var renting = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
            {
                try
                {
                    while (true)
                    {
                        sut.Rent(1000).Dispose();
                    }
                }
                catch (ObjectDisposedException)
                {
                    // The only way out.
                }
            }));
            var all = Task.WhenAll(renting);

            await sut.DisposeAsync().AsTask().DefaultTimeout();

            sut.GetHops()[0].LiveLeases.Should().Be(0);
            await all.DefaultTimeout();
        }
    }

    [Fact]
    public async Task Open_TakesTheMemoryOfOwnMembersOnly()
    {
        var own = new Opening(Pool("own"));
        var other = new Opening(Pool("other"));
        using var sut = Hybrid(new HybridMember(own, IsOwned: true), Chain(other));

        await sut.OpenAsync(progress: null, CancellationToken.None).DefaultTimeout();

        (own.Opened, other.Opened).Should().Be((1, 0));
        other.Dispose();
    }

    private sealed class Opening(IPinnedMemoryPool inner) : DelegatingPool(inner)
    {
        public int Opened { get; private set; }

        public override Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken)
        {
            Opened++;
            return base.OpenAsync(progress, cancellationToken);
        }
    }
}
