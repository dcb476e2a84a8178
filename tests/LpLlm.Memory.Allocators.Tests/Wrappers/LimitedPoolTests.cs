using LpLlm.Memory.Tests.Pooling;
using LpLlm.Memory.Wrappers;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests.Wrappers;

public class LimitedPoolTests
{
    private readonly CollectingLogger _logger = new();

    [Fact]
    public void Rent_OneByteAboveTheLimit_NamesTheLimitAndItsFigures()
    {
        using var sut = TestPools.Limit(new FakePool(), 1000);
        using var lease = sut.Rent(600);

        var error = sut.Invoking(pool => pool.Rent(401)).Should().Throw<PinnedMemoryExhaustedException>().Which;

        error.Cause.Should().Be(ExhaustionCause.Limit);
        error.Snapshot.CapacityBytes.Should().Be(1000);
        error.Snapshot.LargestFreeBytes.Should().Be(400);
        error.Message.Should().Contain("raise LimitBytes").And.Contain("capacity 1000 B, used 600 B in 1 leases");
        sut.Rent(400).Dispose();
        sut.GetSnapshot().FailedRents.Should().Be(1);
    }

    [Fact]
    public async Task TryRent_OnlyATentativeRentInTheWay_WaitsAndIsServedWhenThatFails()
    {
        using var inner = new ScriptedPool(100) { HeldBytes = 60 };
        using var sut = TestPools.Limit(inner, 100);
        var held = Task.Run(() => sut.TryRent(60, out _));
        inner.WaitForHeldRent();

        var second = Task.Run(() => sut.TryRent(50, out var lease) ? lease : null);
        sut.TryRent(101, out _).Should().BeFalse("that never fits, whatever the outcome");
        second.IsCompleted.Should().BeFalse("the 60 B in its way may come to nothing");
        inner.LetGo(fails: true);

        (await held.DefaultTimeout()).Should().BeFalse();
        (await second.DefaultTimeout()).Should().NotBeNull("nobody ever had the other bytes");
    }

    [Fact]
    public async Task TryRent_TentativeRentInTheWaySucceeds_IsRefused()
    {
        using var inner = new ScriptedPool(100) { HeldBytes = 60 };
        using var sut = TestPools.Limit(inner, 100);
        var held = Task.Run(() => sut.TryRent(60, out _));
        inner.WaitForHeldRent();
        var second = Task.Run(() => sut.TryRent(50, out _));

        inner.LetGo(fails: false);

        (await held.DefaultTimeout()).Should().BeTrue();
        (await second.DefaultTimeout()).Should().BeFalse();
        inner.HighestBytes.Should().Be(60);
    }

    [Fact]
    public async Task RentAsync_NoTimeAndOnlyATentativeRentInTheWay_IsServedWhenThatFails()
    {
        using var inner = new ScriptedPool(100) { HeldBytes = 60 };
        using var sut = TestPools.Limit(inner, 100);
        using var live = sut.Rent(40);
        var held = Task.Run(() => sut.TryRent(60, out _));
        inner.WaitForHeldRent();
        using var cancellation = new CancellationTokenSource();
        var noTime = new RentRequest(10) { Timeout = TimeSpan.Zero };

        var rents = Enumerable.Range(0, 3).Select(_ => sut.RentAsync(noTime).AsTask()).ToList();
        var canceled = sut.RentAsync(noTime with { LengthBytes = 25 }, cancellation.Token).AsTask();
        rents.Should().OnlyContain(rent => !rent.IsCompleted, "the 60 B in their way may come to nothing");
        await cancellation.CancelAsync();
        await canceled.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await sut.Awaiting(pool => pool.RentAsync(noTime with { LengthBytes = 61 }).DefaultTimeout())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>("that fits at no outcome");
        inner.LetGo(fails: true);

        (await held.DefaultTimeout()).Should().BeFalse();
        (await Task.WhenAll(rents).DefaultTimeout()).Should().HaveCount(3, "40 + 3 x 10 fit");
        sut.Rent(30).Dispose();
    }

    [Fact]
    public async Task RentAsync_NoTimeAndTheTentativeRentSucceeds_IsRefused()
    {
        using var inner = new ScriptedPool(100) { HeldBytes = 60 };
        using var sut = TestPools.Limit(inner, 100);
        using var live = sut.Rent(40);
        var held = Task.Run(() => sut.TryRent(60, out _));
        inner.WaitForHeldRent();
        var rent = sut.RentAsync(new RentRequest(10) { Timeout = TimeSpan.Zero }).AsTask();

        inner.LetGo(fails: false);

        await rent.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>();
        (await held.DefaultTimeout()).Should().BeTrue();
    }

    [Fact]
    public async Task RentAsync_HigherPriorityIsInsideASlowCall_StandsInLineInsteadOfAskingOn()
    {
        using var inner = new ScriptedPool(100) { HeldBytes = 60 };
        using var sut = TestPools.Limit(inner, 100);
        var high = Task.Run(async () => await sut.RentAsync(new RentRequest(60) { Priority = RentPriority.High }));
        inner.WaitForHeldRent();
        using var cancellation = new CancellationTokenSource();

        var low = sut.RentAsync(10).AsTask();
        var canceled = sut.RentAsync(new RentRequest(10), cancellation.Token).AsTask();
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().WaitingRents == 2);
        for (var i = 0; i < 100; i++)
        {
            await Task.Yield();
            sut.GetSnapshot().WaitingRents.Should().Be(2, "nobody leaves the line before the higher one is through");
        }

        await cancellation.CancelAsync();
        await canceled.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        low.IsCompleted.Should().BeFalse();
        inner.LetGo(fails: false);

        (await high.DefaultTimeout()).Dispose();
        (await low.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task TryRent_InnerThrows_GivesTheBudgetBack()
    {
        using var sut = TestPools.Limit(new FakePool { FailingRent = 1 }, 100);

        sut.Invoking(pool => pool.Rent(100)).Should().Throw<PinnedMemoryExhaustedException>();
        (await sut.RentAsync(100).DefaultTimeout()).Dispose();
        sut.Rent(100).Dispose();
    }

    [Fact]
    public async Task ManyThreads_RentsThatFailInThePool_NeverMakeOneFailThatFits()
    {
        // Three threads with at most 30 B each, of 100 B: they fit at every instant. The fourth reserves 80 B, again and again, for nothing.
        using var inner = new ScriptedPool(100) { FailingBytes = 80 };
        using var sut = TestPools.Limit(inner, 100);
        using var stop = new CancellationTokenSource();
        var adversary = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                sut.TryRent(80, out _).Should().BeFalse();
            }
        });
        var fitting = Enumerable.Range(0, 3).Select(id => Task.Run(() => RentAndReturn(sut, new Random(id), longest: 30)));

        var refused = await Task.WhenAll(fitting).DefaultTimeout();
        await stop.CancelAsync();
        await adversary.DefaultTimeout();

        refused.Should().OnlyContain(count => count == 0, "nobody ever had the 80 B");
        inner.HighestBytes.Should().BeInRange(80, 100);
    }

    [Fact]
    public async Task ManyThreads_WantMoreThanThereIs_NeverAboveTheLimit()
    {
        using var inner = new ScriptedPool(100);
        using var sut = TestPools.Limit(inner, 100);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(id => Task.Run(() => RentAndReturn(sut, new Random(id), longest: 100)))).DefaultTimeout();

        inner.HighestBytes.Should().BeInRange(51, 100);
        sut.GetSnapshot().UsedBytes.Should().Be(0);
        sut.GetSnapshot().PeakUsedBytes.Should().BeLessThanOrEqualTo(100);
    }

    [Fact]
    public async Task ManyThreads_SynchronousAndAsynchronous_NothingIsLostAndTheLimitHolds()
    {
        using var inner = new ScriptedPool(100);
        using var sut = TestPools.Limit(inner, 100);
        var workers = Enumerable.Range(0, 4).Select(id => Task.Run(async () =>
        {
            var random = new Random(id);
            for (var i = 0; i < 2000; i++)
            {
                if (random.Next(2) == 0)
                {
                    using var lease = await sut.RentAsync(new RentRequest(random.Next(1, 101)) { Priority = (RentPriority)random.Next(-1, 2) });
                }
                else if (sut.TryRent(random.Next(1, 101), out var lease))
                {
                    lease.Dispose();
                }
            }
        }));

        await Task.WhenAll(workers).DefaultTimeout();

        inner.HighestBytes.Should().BeLessThanOrEqualTo(100);
        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.WaitingRents == 0);
        sut.Rent(100).Dispose();
    }

    [Fact]
    public async Task TryRent_AsynchronousRentWaitsInThePoolWithTheBudget_MakesItYield()
    {
        using var sut = TestPools.Limit(TestPools.Local(1 << 20), 2 << 20);
        var held = sut.Rent(768 << 10);
        var waiting = sut.RentAsync(1 << 20).AsTask(); // has its budget; the pool has no room for it
        waiting.IsCompleted.Should().BeFalse();

        // 768 + 1024 + 256 KiB is the limit. 256 KiB + 1 only fit if the waiting rent gives its part back.
        sut.TryRent((256 << 10) + 1, out _).Should().BeFalse("the pool itself has no more than 256 KiB");
        held.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
        sut.GetSnapshot().WaitingRents.Should().Be(0);
    }

    [Fact]
    public async Task TryRent_FitsBesideAWaitingRentThatHoldsTheBudget_IsServed()
    {
        using var sut = TestPools.Limit(TestPools.Local(1 << 20), 1 << 20);
        using var inTheWay = sut.Rent(4096);
        using var cancellation = new CancellationTokenSource();

        // The pool's largest gap is 4 KiB short of what is left of the limit here: the alignment makes it so.
        var waiting = sut.RentAsync(new RentRequest((1 << 20) - 8192) { AlignmentBytes = 1 << 20 }, cancellation.Token).AsTask();
        waiting.IsCompleted.Should().BeFalse();

        var rent = Task.Run(() => sut.TryRent(512 << 10, out var lease) ? lease : null);

        var served = await rent.DefaultTimeout();
        served.Should().NotBeNull("live bytes and request are far below the limit");
        served!.Dispose();
        waiting.IsCompleted.Should().BeFalse();
        await cancellation.CancelAsync();
        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task RentAsync_OwnTimeout_IsOneDeadlineForLimitAndPool()
    {
        var time = new ManualTimeProvider();
        using var sut = new LimitedPool(
            TestPools.Local(1 << 20), new LimitOptions { LimitBytes = 1 << 20, RentTimeout = TimeSpan.FromSeconds(7) }, _logger, time);
        using var all = sut.Rent(1 << 20);
        var waiting = sut.RentAsync(1000).AsTask();
        await TestTimeouts.UntilAsync(() => time.ActiveTimers == 1);
        time.Advance(TimeSpan.FromSeconds(6.9));
        waiting.IsCompleted.Should().BeFalse();

        time.Advance(TimeSpan.FromSeconds(0.1));

        (await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>())
            .Which.Message.Should().Contain("waited 7 s").And.Contain("raise LimitBytes");
    }

    [Fact]
    public async Task Dispose_RentsWaitForTheLimit_FailsThem()
    {
        var sut = TestPools.Limit(new FakePool(), 100);
        var all = sut.Rent(100);
        var waiting = sut.RentAsync(1).AsTask();

        sut.Dispose();

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        sut.Invoking(pool => pool.TryRent(1, out _)).Should().Throw<ObjectDisposedException>();
        all.Dispose();
    }

    [Fact]
    public void Rent_BytesBehindAFence_CountUntilItCompletes()
    {
        using var sut = TestPools.Limit(new FakePool(), 100);
        var fence = new VirtualFence();
        sut.Rent(60).ReturnAfter(fence);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.PendingBytes == 60 && s.UsedBytes == 0 && s.FreeBytes == 40);
        sut.Rent(40).Dispose();
        sut.Invoking(pool => pool.Rent(41)).Should().Throw<PinnedMemoryExhaustedException>().Which.Cause.Should().Be(ExhaustionCause.Pending);
        fence.Complete();

        sut.Rent(100).Dispose();
    }

    [Fact]
    public async Task Rent_OnlyAFenceInTheWay_WaitsForIt()
    {
        using var sut = new LimitedPool(
            new FakePool(), new LimitOptions { LimitBytes = 100, FenceTimeout = TimeSpan.FromSeconds(20) }, _logger);
        var fence = new VirtualFence();
        sut.Rent(100).ReturnAfter(fence);

        var rent = Task.Run(() => sut.Rent(100));
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().WaitingRents == 1);
        fence.Complete();

        (await rent.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task ReturnAfter_FenceFails_TheBytesCountForEver()
    {
        var sut = new LimitedPool(new FakePool(), new LimitOptions { LimitBytes = 100, FenceTimeout = TimeSpan.Zero }, _logger);
        var fence = new VirtualFence();
        sut.Rent(60).ReturnAfter(fence);

        fence.Fail(new InvalidOperationException("the device fell off the bus"));
        await TestTimeouts.UntilAsync(() => _logger.Entries.Any(entry => entry.Id == 1043));

        sut.GetSnapshot().PendingBytes.Should().Be(60);
        sut.TryRent(41, out _).Should().BeFalse();
        sut.Rent(40).Dispose();
    }

    [Fact]
    public void C6_UsageFigures_AreTrueAtEveryStep()
    {
        using var sut = TestPools.Limit(TestPools.Local(1 << 20), 1000);
        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 0 && s.FreeBytes == 1000 && s.LargestFreeBytes == 1000);
        var first = sut.Rent(300);
        var second = sut.Rent(500);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(
            s => s.UsedBytes == 800 && s.FreeBytes == 200 && s.LargestFreeBytes == 200 && s.LiveLeases == 2);
        first.Dispose();

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 500 && s.LiveLeases == 1 && s.PeakUsedBytes == 800);
        second.Dispose();
    }

    [Theory]
    [InlineData(1000, 0, 700)] // what is left of the pool is larger than the limit: the limit loses nothing
    [InlineData(2500, 500, 200)]
    [InlineData(3000, 1000, 0)]
    public void GetSnapshot_PoolWithQuarantine_CountsWhatTheLimitLoses(long poolBytes, long quarantined, long free)
    {
        using var inner = new ScriptedPool(1000)
        {
            Accounts = new PoolSnapshot
            {
                CapacityBytes = 3000,
                ReservedBytes = 3000,
                PageableBytes = 3000,
                QuarantinedBytes = poolBytes,
                CachedBytes = 5,
                LargestFreeBytes = 3000,
            },
        };
        using var sut = TestPools.Limit(inner, 1000);
        using var lease = sut.Rent(295);

        var snapshot = sut.GetSnapshot();

        snapshot.Should().Match<PoolSnapshot>(s => s.CapacityBytes == 1000 && s.ReservedBytes == 3000);
        snapshot.QuarantinedBytes.Should().Be(quarantined);
        snapshot.FreeBytes.Should().Be(free);
        snapshot.LargestFreeBytes.Should().BeLessThanOrEqualTo(free + 5);
        (snapshot.UsedBytes + snapshot.PendingBytes + snapshot.CachedBytes + snapshot.QuarantinedBytes + snapshot.FreeBytes).Should().Be(1000);
    }

    [Fact]
    public void Create_EverythingWrong_ReportsEverythingWithNameAndValue()
    {
        using var inner = new FakePool("kv");
        var options = new LimitOptions
        {
            LimitBytes = -5,
            WatermarkBytes = 7,
            FenceTimeout = TimeSpan.FromDays(25),
            RentTimeout = TimeSpan.Zero,
        };

        var act = () => new LimitedPool(inner, options, NullLogger.Instance);

        act.Should().Throw<ArgumentException>().Which.Message.Should().Contain("Pool 'kv'").And.Contain("LimitBytes is -5")
            .And.Contain("WatermarkBytes is 7").And.Contain("FenceTimeout is 25.00:00:00").And.Contain("RentTimeout is 00:00:00");
        options = new LimitOptions { LimitBytes = 5, OnWatermark = _ => { } };
        act.Should().Throw<ArgumentException>().Which.Message.Should().Contain("OnWatermark is set");
    }

    private static int RentAndReturn(LimitedPool pool, Random random, int longest)
    {
        var refused = 0;
        for (var i = 0; i < 5000; i++)
        {
            if (pool.TryRent(random.Next(1, longest + 1), out var lease))
            {
                lease.Dispose();
            }
            else
            {
                refused++;
            }
        }

        return refused;
    }
}
