using LpLlm.Memory.Pooling;
using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.Hybrid;

public sealed class HybridWaitingTests : HybridFixture, IDisposable
{
    private readonly PinnedPool _first;
    private readonly PinnedPool _second;

    public HybridWaitingTests()
    {
        _first = Pool("first");
        _second = Pool("second");
    }

    [Theory]
    [InlineData("first", LeasePlacement.FirstChoice)]
    [InlineData("second", LeasePlacement.Exhausted)]
    public async Task RentAsync_WhoeverHasRoomFirstServes(string poolName, LeasePlacement placement)
    {
        using var sut = Hybrid(Chain(_first), Chain(_second));
        var held = new Dictionary<string, PinnedLease> { ["first"] = _first.Rent(MiB), ["second"] = _second.Rent(MiB) };
        var waiting = sut.RentAsync(MiB).AsTask();
        sut.GetSnapshot().WaitingRents.Should().Be(1);

        held[poolName].Dispose();

        using var lease = await waiting.DefaultTimeout();
        (lease.PoolName, lease.Placement).Should().Be((poolName, placement));
        await TestTimeouts.UntilAsync(() => _first.GetSnapshot().WaitingRents + _second.GetSnapshot().WaitingRents == 0);
        held.Values.ToList().ForEach(other => other.Dispose());
    }

    [Fact]
    public async Task RentAsync_TheFirstMembersFenceHasCompletedUnseen_IsServedByIt()
    {
        using var sut = Hybrid(Chain(_first), Chain(_second));
        var fence = new UnseenFence();
        _first.Rent(MiB).ReturnAfter(fence);
        fence.IsCompleted = true;

        using var lease = await sut.RentAsync(MiB).DefaultTimeout();

        (lease.PoolName, lease.Placement).Should().Be(("first", LeasePlacement.FirstChoice));
        fence.WakeWaiters();
    }

    [Fact]
    public async Task RentAsync_TheFirstMembersRoomIsInItsCaches_IsServedByIt()
    {
        using var cached = Pool("cached", 64 * MiB, threadCacheBytes: 16 * MiB);
        using var sut = Hybrid(Chain(cached), Chain(_second));
        using var most = cached.Rent((64 * MiB) - (4 * KiB));
        cached.Rent(4 * KiB).Dispose();
        cached.Rent(4 * KiB).Dispose(); // of a length seen twice: kept
        cached.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CachedBytes == 4 * KiB && s.LargestFreeBytes == 0);

        using var lease = await sut.RentAsync(4 * KiB).DefaultTimeout();

        (lease.PoolName, lease.Placement).Should().Be(("cached", LeasePlacement.FirstChoice));
    }

    [Fact]
    public async Task RentAsync_TheFirstMembersFenceIsPending_IsServedByTheNext()
    {
        using var sut = Hybrid(Chain(_first), Chain(_second));
        var fence = new VirtualFence();
        _first.Rent(MiB).ReturnAfter(fence);

        using var lease = await sut.RentAsync(MiB).DefaultTimeout();

        (lease.PoolName, lease.Placement).Should().Be(("second", LeasePlacement.Exhausted));
        fence.Complete();
    }

    [Fact]
    public async Task RentAsync_DoesNotWaitOnAMemberThatCanNeverServeIt()
    {
        using var small = Pool("small", 64 * KiB);
        using var sut = Hybrid(Chain(small), Chain(_second));
        var held = _second.Rent(MiB);
        var waiting = sut.RentAsync(MiB).AsTask();

        small.GetSnapshot().WaitingRents.Should().Be(0);
        held.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
        await sut.Awaiting(pool => pool.RentAsync(MiB + 1).DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>();
    }

    [Fact]
    public async Task RentAsync_DeadlinePasses_FailsOnceWithTheTimeWaited()
    {
        using var first = Pool("timed-1", time: Time);
        using var second = Pool("timed-2", time: Time);
        using var sut = Hybrid(Chain(first), Chain(second));
        using var a = first.Rent(MiB);
        using var b = second.Rent(MiB);
        var waiting = sut.RentAsync(new RentRequest(1000) { Timeout = TimeSpan.FromSeconds(5) }).AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 2);
        Time.Advance(TimeSpan.FromSeconds(4.9));
        waiting.IsCompleted.Should().BeFalse();

        Time.Advance(TimeSpan.FromSeconds(0.1));

        var error = (await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>()).Which;
        error.PoolName.Should().Be("sut");
        error.Message.Should().Contain("waited 5 s");
        (sut.GetSnapshot().WaitingRents, sut.GetSnapshot().FailedRents).Should().Be((0, 1));
    }

    [Fact]
    public async Task RentAsync_CancelledWhileTwoMembersServe_LeaksNothing()
    {
        using var sut = Hybrid(Chain(_first), Chain(_second));
        var served = 0;
        for (var round = 0; round < 1000; round++)
        {
            var a = _first.Rent(MiB);
            var b = _second.Rent(MiB);
            using var cancellation = new CancellationTokenSource();
            var waiting = sut.RentAsync(MiB, 256, cancellation.Token).AsTask();
            await Task.WhenAll(Task.Run(a.Dispose), Task.Run(b.Dispose), round % 2 == 0 ? Task.Run(cancellation.Cancel) : Task.CompletedTask)
                .DefaultTimeout();
            try
            {
                (await waiting.DefaultTimeout()).Dispose();
                served++;
            }
            catch (OperationCanceledException) when (round % 2 == 0)
            {
                // Either outcome is right; what counts is the account below.
            }

            await TestTimeouts.UntilAsync(() => sut.GetSnapshot() is { UsedBytes: 0, LiveLeases: 0, WaitingRents: 0 });
        }

        served.Should().BeGreaterThanOrEqualTo(500, "a rent that nobody cancels is served");
        sut.GetSnapshot().TotalRents.Should().Be(served);
    }

    [Fact]
    public async Task ManyWaiters_AllAreServedAndEverythingComesBack()
    {
        using var sut = Hybrid(Class(MiB / 2, 1), Chain(_first), Chain(_second));
        var workers = Enumerable.Range(0, 8).Select(id => Task.Run(async () =>
        {
            var random = new Random(id);
            for (var i = 0; i < 400; i++)
            {
                using var lease = await sut.RentAsync(random.Next(3) == 0 ? MiB / 2 : random.Next(1, (int)MiB));
                await Task.Yield();
            }
        }));

        await Task.WhenAll(workers).DefaultTimeout();

        await TestTimeouts.UntilAsync(() => sut.GetSnapshot() is { UsedBytes: 0, LiveLeases: 0 });
        sut.GetSnapshot().TotalRents.Should().Be(3200);
        sut.GetHops().Should().OnlyContain(hop => hop.ServedRents > 0 && hop.LiveLeases == 0);
    }

    [Fact]
    public async Task RentAsync_AMemberThatThrowsBeforeItsFirstAwait_IsOneThatAnswered()
    {
        using var sut = Hybrid(Chain(_first), Chain(new FakePool("fake", 1000)));
        using var all = _first.Rent(MiB);
        var waiting = sut.RentAsync(2000).AsTask();

        all.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
    }

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
    }

    /// <summary>A completed fence shows to who asks before it wakes who waits, as on a busy machine: only a rent takes the block back.</summary>
    private sealed class UnseenFence : IFence
    {
        private readonly TaskCompletionSource _waiters = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public object? StreamKey => null;

        public bool IsCompleted { get; set; }

        public ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_waiters.Task.WaitAsync(cancellationToken));

        public void WakeWaiters() => _waiters.SetResult();
    }
}
