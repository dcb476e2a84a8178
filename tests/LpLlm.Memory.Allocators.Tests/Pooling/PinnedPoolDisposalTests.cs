namespace LpLlm.Memory.Tests.Pooling;

public class PinnedPoolDisposalTests : PoolFixture
{
    [Fact]
    public async Task Dispose_WithLiveLeases_WaitsThenNamesCountAndSizes()
    {
        var sut = CreateSut(time: Time);
        var small = sut.Rent(1000);
        var large = sut.Rent(MiB);
        var idle = sut.Rent(MiB);
        idle.Dispose();

        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
        Source.ReservedBytes.Should().Be(2 * MiB, "the idle slab is given back at once, those with leases are not");
        Time.Advance(TimeSpan.FromSeconds(2));

        (await disposing.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("2 live leases (1049600 B)").And.Contain("1048576 B, 1024 B").And.Contain("2 s");
        Source.ReservedBytes.Should().Be(2 * MiB, "memory under a live lease is never unmapped");
        small.Dispose();
        large.Dispose();
        Source.ReservedBytes.Should().Be(0, "the last lease of a slab takes the slab with it");
        sut.Dispose();
    }

    [Fact]
    public async Task Dispose_LeaseReturnedInTime_Succeeds()
    {
        var sut = CreateSut(time: Time);
        var lease = sut.Rent(1000);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);

        lease.Dispose();

        await disposing.DefaultTimeout();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_LeaseReturnedInTimeButItsSlabIsUnmappedLonger_Succeeds()
    {
        var gate = new TaskCompletionSource();
        Source.ReleaseGate = gate.Task;
        var sut = CreateSut(time: Time);
        var lease = sut.Rent(1000);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
        var returning = Task.Run(lease.Dispose);
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot() is { LiveLeases: 0, UsedBytes: 0 });

        Time.Advance(TimeSpan.FromSeconds(2));
        gate.SetResult();

        await disposing.DefaultTimeout();
        await returning.DefaultTimeout();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_PendingBehindAFence_WaitsForIt()
    {
        var sut = CreateSut(time: Time);
        var fence = new VirtualFence();
        sut.Rent(1000).ReturnAfter(fence);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);

        fence.Complete();

        await disposing.DefaultTimeout();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_WhileRentsWait_FailsThem()
    {
        var sut = CreateSut(capacityBytes: MiB, time: Time);
        var all = sut.Rent(MiB);
        var waiting = sut.RentAsync(1000).AsTask();
        var disposing = sut.DisposeAsync().AsTask();

        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();

        all.Dispose();
        await disposing.DefaultTimeout();
    }

    [Fact]
    public async Task Dispose_WhileGrowing_StopsTheGrowthAndKeepsNothing()
    {
        Source.Gate = new TaskCompletionSource().Task;
        var sut = CreateSut(time: Time);
        var growing = sut.RentAsync(1000).AsTask();
        await TestTimeouts.UntilAsync(() => Source.Reserves == 1);

        await sut.DisposeAsync().AsTask().DefaultTimeout();

        await growing.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        Source.ReservedBytes.Should().Be(0);
    }
}
