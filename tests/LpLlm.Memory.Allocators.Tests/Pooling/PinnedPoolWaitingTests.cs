namespace LpLlm.Memory.Tests.Pooling;

public class PinnedPoolWaitingTests : PoolFixture
{
    [Fact]
    public async Task RentAsync_ServesInOrder_EvenWhenALaterOneWouldFit()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var half = sut.Rent(MiB / 2);
        var quarter = sut.Rent(MiB / 4);
        var large = sut.RentAsync(MiB).AsTask();
        var small = sut.RentAsync(1000).AsTask();

        sut.GetSnapshot().WaitingRents.Should().Be(2, "a quarter is free, but the small rent stands behind the large one");
        quarter.Dispose();
        small.IsCompleted.Should().BeFalse();
        half.Dispose();

        (await large.DefaultTimeout()).Dispose();
        (await small.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task RentAsync_OneReturnServesSeveralWaiters()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var all = sut.Rent(MiB);
        var waiting = Enumerable.Range(0, 4).Select(_ => sut.RentAsync(MiB / 4).AsTask()).ToList();

        all.Dispose();

        foreach (var lease in await Task.WhenAll(waiting).DefaultTimeout())
        {
            lease.Dispose();
        }
    }

    [Fact]
    public async Task RentAsync_FirstCancelled_ServesTheNextThatFits()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        using var half = sut.Rent(MiB / 2);
        using var cancellation = new CancellationTokenSource();
        var large = sut.RentAsync(MiB, 256, cancellation.Token).AsTask();
        var small = sut.RentAsync(1000).AsTask();

        await cancellation.CancelAsync();

        (await small.DefaultTimeout()).Dispose();
        await large.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task RentAsync_DeadlinePasses_FailsWithCauseAndTheTimeWaited()
    {
        using var sut = CreateSut(capacityBytes: MiB, time: Time);
        using var all = sut.Rent(MiB);
        var waiting = sut.RentAsync(1000).AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
        Time.Advance(TimeSpan.FromSeconds(4.9));
        waiting.IsCompleted.Should().BeFalse();

        Time.Advance(TimeSpan.FromSeconds(0.1));

        var error = (await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>()).Which;
        error.Cause.Should().Be(ExhaustionCause.Limit);
        error.Message.Should().Contain("waited 5 s");
        sut.GetSnapshot().WaitingRents.Should().Be(0);
        sut.GetSnapshot().FailedRents.Should().Be(1);
    }

    [Fact]
    public async Task RentAsync_Served_LeavesNoTimerBehind()
    {
        using var sut = CreateSut(capacityBytes: MiB, time: Time);
        var all = sut.Rent(MiB);
        var waiting = sut.RentAsync(1000).AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);

        all.Dispose();

        (await waiting.DefaultTimeout()).Dispose();
        Time.ActiveTimers.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_CancelRacingWithReturns_NeverLosesMemory()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        for (var round = 0; round < 500; round++)
        {
            var all = sut.Rent(MiB);
            using var cancellation = new CancellationTokenSource();
            var waiting = sut.RentAsync(MiB, 256, cancellation.Token).AsTask();
            var cancel = Task.Run(cancellation.Cancel);
            var free = Task.Run(all.Dispose);
            await Task.WhenAll(cancel, free).DefaultTimeout();
            try
            {
                (await waiting.DefaultTimeout()).Dispose();
            }
            catch (OperationCanceledException)
            {
                // Either outcome is right; what counts is the account below.
            }

            sut.GetSnapshot().UsedBytes.Should().Be(0);
        }
    }

    [Fact]
    public async Task ManyWaiters_AllAreServedAndEverythingComesBack()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var workers = Enumerable.Range(0, 8).Select(id => Task.Run(async () =>
        {
            var random = new Random(id);
            for (var i = 0; i < 500; i++)
            {
                using var lease = await sut.RentAsync(random.Next(1, (int)MiB));
                await Task.Yield();
            }
        }));

        await Task.WhenAll(workers).DefaultTimeout();

        sut.GetSnapshot().UsedBytes.Should().Be(0);
        sut.GetSnapshot().TotalRents.Should().Be(4000);
    }

    [Fact]
    public async Task ReturnAfter_FenceFails_TheBytesAreNeverReused()
    {
        var sut = CreateSut(capacityBytes: MiB);
        var fence = new VirtualFence();
        sut.Rent(MiB).ReturnAfter(fence);

        fence.Fail(new InvalidOperationException("the device fell off the bus"));
        await TestTimeouts.UntilAsync(() => Logger.Entries.Any(entry => entry.Id == 1002));

        sut.GetSnapshot().PendingBytes.Should().Be(MiB);
        sut.TryRent(1, out _).Should().BeFalse();
    }

    [Fact]
    public async Task ReturnAfter_CompletedFence_ServesAWaiter()
    {
        using var sut = CreateSut(capacityBytes: MiB);
        var fence = new VirtualFence();
        sut.Rent(MiB).ReturnAfter(fence);
        var waiting = sut.RentAsync(MiB).AsTask();
        waiting.IsCompleted.Should().BeFalse();

        fence.Complete();

        (await waiting.DefaultTimeout()).Dispose();
    }
}
