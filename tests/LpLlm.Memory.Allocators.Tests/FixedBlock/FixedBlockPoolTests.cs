using LpLlm.Memory.Tests.Pooling;

namespace LpLlm.Memory.Tests.FixedBlock;

public class FixedBlockPoolTests : FixedBlockFixture
{
    [Fact]
    public async Task Open_TakesEverythingOnce_AndReportsIt()
    {
        using var sut = CreateSut(blockBytes: 1000);
        sut.GetSnapshot().ReservedBytes.Should().Be(0);

        await sut.OpenAsync(null, CancellationToken.None).DefaultTimeout();
        await sut.OpenAsync(null, CancellationToken.None).DefaultTimeout();

        Source.Reserves.Should().Be(1);
        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.ReservedBytes == 8 * 1024 && s.CapacityBytes == 8 * 1024 && s.LargestFreeBytes == 1000);
    }

    [Fact]
    public async Task Rent_AlignmentAboveTheBlocks_NamesTheOption()
    {
        using var sut = CreateSut();

        var error = sut.Invoking(pool => pool.Rent(1, 512)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        error.Message.Should().Contain("raise BlockAlignmentBytes");
        error.IsTransient.Should().BeFalse();
        sut.TryRent(1, out _, 512).Should().BeFalse("a hybrid pool asks its next member then");
        await sut.Awaiting(pool => pool.RentAsync(new RentRequest(1) { AlignmentBytes = 512 }).DefaultTimeout())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>();
        Source.Reserves.Should().Be(0);
    }

    [Fact]
    public async Task Trim_UnpinFails_QuarantinesTheRegion()
    {
        Source.FailingReleases.Add(1);
        using var sut = CreateSut();
        await sut.OpenAsync(null, CancellationToken.None).DefaultTimeout();

        sut.Trim().Should().Be(0);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.QuarantinedBytes == 8 * Block && s.FreeBytes == 0 && s.ReservedBytes == 8 * Block);
        sut.TryRent(1, out _).Should().BeFalse();
    }

    [Fact]
    public async Task Rent_SourceRefuses_EveryDoorSaysSoInItsWay()
    {
        Source.FailingReserves.Add(1);
        var time = new ManualTimeProvider();
        using var sut = CreateSut(time: time);

        var error = sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>().Which;
        error.Cause.Should().Be(ExhaustionCause.NoMemory);
        error.InnerException.Should().BeOfType<MemorySourceException>();
        (await sut.Awaiting(pool => pool.RentAsync(1).DefaultTimeout()).Should().ThrowAsync<PinnedMemoryExhaustedException>())
            .Which.Cause.Should().Be(ExhaustionCause.NoMemory);
        sut.TryRent(1, out _).Should().BeFalse();
        sut.TryRentBlocks(new PinnedLease[2]).Should().BeFalse();
        Logger.Entries.Count(entry => entry.Id == 1021).Should().Be(2);
        sut.GetSnapshot().FailedRents.Should().Be(4);
        Source.Reserves.Should().Be(1, "each try may populate the region first, so a refusal is remembered for a second");

        time.Advance(TimeSpan.FromSeconds(1));
        sut.Rent(1).Dispose();
    }

    [Fact]
    public async Task Open_SourceRefuses_Throws()
    {
        Source.FailingReserves.Add(1);
        using var sut = CreateSut();

        await sut.Awaiting(pool => pool.OpenAsync(null, CancellationToken.None).DefaultTimeout()).Should().ThrowAsync<MemorySourceException>();
    }

    [Fact]
    public void Trim_BlocksOutOrBytesToKeep_GivesNothingBack()
    {
        using var sut = CreateSut();
        var lease = sut.Rent(1);

        sut.Trim().Should().Be(0);
        lease.Dispose();
        sut.Trim(keepBytes: 1).Should().Be(0);
        sut.Trim().Should().Be(8 * Block, "blocks in a thread's cache are idle too");

        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Trim_RentMeanwhile_WaitsAndGetsABlock()
    {
        TaskCompletionSource releasing = new(), gate = new();
        var source = new HookedSource(_ =>
        {
            releasing.TrySetResult();
            gate.Task.Wait(TimeSpan.FromSeconds(30)).Should().BeTrue();
        });
        using var sut = CreateSut(source: source);
        await sut.OpenAsync(null, CancellationToken.None);
        var trimming = Task.Run(() => sut.Trim());
        await releasing.Task.DefaultTimeout();
        var renting = Task.Run(() => sut.Rent(1));
        var batch = Task.Run(() =>
        {
            var seven = new PinnedLease[7];
            return sut.TryRentBlocks(seven) ? seven : [];
        });

        gate.SetResult();

        (await trimming.DefaultTimeout()).Should().Be(8 * Block);
        var single = await renting.DefaultTimeout();
        var leases = await batch.DefaultTimeout();
        sut.GetSnapshot().LiveLeases.Should().Be(8);
        Array.ForEach([single, .. leases], lease => lease.Dispose());
    }

    [Fact]
    public void Trim_UnpinFails_TheBytesStayReservedAndThePoolSaysWhy()
    {
        using var sut = CreateSut(source: new HookedSource(
            bytes => throw new MemorySourceException("munlock", 22, "EINVAL", bytes, null, "Restart the process.")));
        sut.Rent(1).Dispose();

        sut.Trim().Should().Be(0);

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.ReservedBytes == 8 * Block && s.LargestFreeBytes == 0);
        Logger.Entries.Should().ContainSingle(entry => entry.Id == 1022);
        sut.Invoking(pool => pool.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>()
            .Which.Message.Should().Contain("could not be unpinned");
    }

    [Fact]
    public async Task Dispose_WithLiveLeases_WaitsThenSaysHowMany_AndTheLastTakesTheRegion()
    {
        var sut = CreateSut(time: Time);
        var lease = sut.Rent(1);
        sut.Rent(1).Dispose();
        var fence = new VirtualFence();
        sut.Rent(1).ReturnAfter(fence);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);
        Time.Advance(TimeSpan.FromSeconds(2));

        (await disposing.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("1 live leases (4096 B)").And.Contain("1 pending behind fences (4096 B)").And.Contain("2 s");
        Source.ReservedBytes.Should().Be(8 * Block);
        lease.Dispose();
        Source.ReservedBytes.Should().Be(8 * Block, "a device may still write");
        fence.Complete();
        await TestTimeouts.UntilAsync(() => Source.ReservedBytes == 0);
        sut.Dispose();
    }

    [Fact]
    public async Task Dispose_LeaseReturnedInTime_Succeeds()
    {
        var sut = CreateSut(time: Time);
        var lease = sut.Rent(1);
        var disposing = sut.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => Time.ActiveTimers == 1);

        lease.Dispose();

        await disposing.DefaultTimeout();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Dispose_WhileRentsWaitOrThePoolOpens_FailsThem()
    {
        var full = CreateSut(blocks: 4);
        var all = new PinnedLease[4];
        full.TryRentBlocks(all).Should().BeTrue();
        var waiting = full.RentAsync(1).AsTask();
        var disposing = full.DisposeAsync().AsTask();
        await waiting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        Array.ForEach(all, lease => lease.Dispose());
        await disposing.DefaultTimeout();

        Source.Gate = new TaskCompletionSource().Task;
        var opening = CreateSut();
        var renting = opening.RentAsync(1).AsTask();
        await TestTimeouts.UntilAsync(() => Source.Reserves == 2);
        await opening.DisposeAsync().AsTask().DefaultTimeout();
        await renting.Awaiting(task => task.DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
        opening.Invoking(pool => pool.TryRentBlocks(new PinnedLease[1])).Should().Throw<ObjectDisposedException>();
        Source.ReservedBytes.Should().Be(0);
    }

    [Fact]
    public async Task Rent_OnlyAFenceStandsInTheWay_WaitsForIt()
    {
        using var sut = CreateSut(blocks: 4, fenceTimeout: TimeSpan.FromSeconds(30));
        var all = new PinnedLease[4];
        sut.TryRentBlocks(all).Should().BeTrue();
        var fence = new VirtualFence();
        all[2].ReturnAfter(fence);
        var renting = Task.Run(() => sut.Rent(1));
        await TestTimeouts.UntilAsync(() => sut.GetSnapshot().WaitingRents == 1);

        fence.Complete();

        all[2] = await renting.DefaultTimeout();
        Array.ForEach(all, lease => lease.Dispose());
    }

    [Fact]
    public async Task Rent_FenceFailed_IsNotWaitedForAndTheBlockIsNeverReused()
    {
        var sut = CreateSut(blocks: 4, fenceTimeout: TimeSpan.FromDays(1));
        var all = new PinnedLease[4];
        sut.TryRentBlocks(all).Should().BeTrue();
        var fence = new VirtualFence();
        all[0].ReturnAfter(fence);
        fence.Fail(new InvalidOperationException("the device fell off the bus"));
        await TestTimeouts.UntilAsync(() => Logger.Entries.Any(entry => entry.Id == 1002));

        (await Task.Run(() => sut.TryRent(1, out _)).DefaultTimeout()).Should().BeFalse();

        sut.GetSnapshot().PendingBytes.Should().Be(Block);
    }

    [Fact]
    public async Task TryRentBlocks_CompletedFences_AreUsedAtOnce()
    {
        using var sut = CreateSut(blocks: 4);
        var all = new PinnedLease[4];
        sut.TryRentBlocks(all).Should().BeTrue();
        var fences = all.Select(lease => new VirtualFence(all)).ToList();
        foreach (var (lease, fence) in all.Zip(fences))
        {
            lease.ReturnAfter(fence);
        }

        sut.TryRentBlocks(new PinnedLease[1]).Should().BeFalse();
        fences.ForEach(fence => fence.Complete());
        await TestTimeouts.UntilAsync(() => sut.TryRentBlocks(all));

        Array.ForEach(all, lease => lease.Dispose());
    }

    [Fact]
    public async Task ThreadExit_WhatTheThreadKeptBackGoesHome()
    {
        using var sut = CreateSut(blocks: 400);
        var thread = new Thread(() => sut.Rent(1).Dispose());
        sut.Rent(1).Dispose();
        var before = sut.GetSnapshot().CachedBytes;
        thread.Start();
        thread.Join(TimeSpan.FromSeconds(30)).Should().BeTrue();
        sut.GetSnapshot().CachedBytes.Should().Be(before + (16 * Block), "half a cache was taken at the first rent");

        await TestTimeouts.UntilAsync(() =>
        {
            GC.Collect();
            return sut.GetSnapshot().CachedBytes <= before; // less if the thread that began this test, one of a pool, has ended too
        });

        sut.GetSnapshot().TotalRents.Should().Be(2, "what it counted stays counted");
    }

    [Fact]
    public void Snapshot_CachedBlocks_AreFreeForAnybody()
    {
        using var sut = CreateSut(blocks: 8);
        sut.Rent(1).Dispose();
        sut.Rent(1).Dispose();
        sut.GetSnapshot().CachedBytes.Should().BePositive();

        var all = new PinnedLease[8];
        sut.TryRentBlocks(all).Should().BeTrue();

        sut.GetSnapshot().Should().Match<PoolSnapshot>(s => s.CachedBytes == 0 && s.UsedBytes == 8 * Block && s.LargestFreeBytes == 0);
        Array.ForEach(all, lease => lease.Dispose());
    }

    /// <summary>A source whose regions do what a test wants when they are given back.</summary>
    private sealed class HookedSource(Action<long> release) : IMemorySource
    {
        public string Name => "hooked";

        public PoolCapabilities Capabilities => PoolCapabilities.PageLocked;

        public ValueTask<MemoryRegion> ReserveAsync(
            long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default) => new(new Region(lengthBytes, release));

        private sealed class Region(long lengthBytes, Action<long> release) : MemoryRegion(1 << 30, lengthBytes, PoolCapabilities.PageLocked)
        {
            protected override void Release() => release(LengthBytes);
        }
    }
}
