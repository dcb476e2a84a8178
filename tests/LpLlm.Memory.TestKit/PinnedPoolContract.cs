using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// What every <see cref="IPinnedMemoryPool"/> must do, pools of fixed blocks and wrappers included. Inherit it and say how to create one.
/// Pools that serve any size inherit <see cref="AnySizePoolContract"/> instead.
/// </summary>
public abstract class PinnedPoolContract
{
    /// <summary>Length of a block in these tests.</summary>
    protected const long BlockBytes = 256 << 10;

    /// <summary>
    /// A pool over writable memory that is nobody else's: its capacity is <paramref name="blocks"/> × <see cref="BlockBytes"/>, and so many
    /// leases of that length fill it.
    /// </summary>
    /// <param name="blocks">Blocks, 1 to 64.</param>
    protected abstract IPinnedMemoryPool Create(int blocks);

    /// <summary>The pool that leases name as theirs, where it is not the pool itself.</summary>
    /// <param name="pool">A pool from <see cref="Create"/>.</param>
    protected virtual string ServingPoolName(IPinnedMemoryPool pool) => pool.Name;

    /// <summary>Rents every block there is.</summary>
    /// <param name="pool">A pool from <see cref="Create"/>, with nothing rented.</param>
    protected static List<PinnedLease> RentAll(IPinnedMemoryPool pool)
    {
        var leases = new List<PinnedLease>();
        while (leases.Count < 1000 && pool.TryRent(BlockBytes, out var lease))
        {
            leases.Add(lease);
        }

        return leases;
    }

    [Fact]
    public void Rent_GivesExactlyTheLengthAtAnAlignedAddress()
    {
        using var pool = Create(32);
        using var lease = pool.Rent(1000);

        lease.LengthBytes.Should().Be(1000);
        (lease.Address % 256).Should().Be(0);
        lease.PoolName.Should().Be(ServingPoolName(pool));
        lease.GetSpan(0, 1000).Length.Should().Be(1000);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task Rent_LengthBelowOne_Throws(long lengthBytes)
    {
        using var pool = Create(4);

        pool.Invoking(p => p.Rent(lengthBytes)).Should().Throw<ArgumentOutOfRangeException>();
        pool.Invoking(p => p.TryRent(lengthBytes, out _)).Should().Throw<ArgumentOutOfRangeException>();
        await pool.Awaiting(p => p.RentAsync(lengthBytes).AsTask()).Should().ThrowAsync<ArgumentOutOfRangeException>();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(96)]
    [InlineData(4 << 20)]
    public void Rent_BadAlignment_Throws(int alignmentBytes)
    {
        using var pool = Create(4);

        pool.Invoking(p => p.Rent(1, alignmentBytes)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void Rent_MoreThanTheCapacity_IsATypedErrorThatIsNotTransient()
    {
        using var pool = Create(16);
        var before = pool.GetSnapshot();

        foreach (var lengthBytes in new[] { before.CapacityBytes + 1, 1L << 50, long.MaxValue })
        {
            var error = pool.Invoking(p => p.Rent(lengthBytes)).Should().Throw<PinnedMemoryExhaustedException>().Which;

            error.IsTransient.Should().BeFalse();
            error.RequestedBytes.Should().Be(lengthBytes);
            error.PoolName.Should().Be(pool.Name);
            error.Cause.Should().Be(ExhaustionCause.Limit);
            error.Message.Should().Contain($"{lengthBytes} B").And.Contain($"capacity {before.CapacityBytes} B");
        }

        pool.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public void Rent_WhenFull_IsATransientError()
    {
        using var pool = Create(1);
        using var all = pool.Rent(BlockBytes);

        pool.Invoking(p => p.Rent(256)).Should().Throw<PinnedMemoryExhaustedException>().Which.IsTransient.Should().BeTrue();
    }

    [Fact]
    public void Snapshot_AccountsForEveryByte()
    {
        using var pool = Create(16);
        using var a = pool.Rent(1000);
        using var b = pool.Rent(4096);

        var snapshot = pool.GetSnapshot();

        snapshot.LiveLeases.Should().Be(2);
        snapshot.UsedBytes.Should().BeGreaterThanOrEqualTo(5096);
        snapshot.PeakUsedBytes.Should().Be(snapshot.UsedBytes + snapshot.CachedBytes);
        snapshot.TotalRents.Should().Be(2);
        (snapshot.UsedBytes + snapshot.FreeBytes + snapshot.PendingBytes + snapshot.CachedBytes).Should().Be(snapshot.CapacityBytes);
        snapshot.LargestFreeBytes.Should().BeLessThanOrEqualTo(snapshot.FreeBytes);
    }

    [Fact]
    public void Dispose_LeaseTwice_ReturnsItOnce()
    {
        using var pool = Create(4);
        var lease = pool.Rent(1000);
        lease.Dispose();
        using var next = pool.Rent(1000);

        lease.Dispose();

        pool.GetSnapshot().LiveLeases.Should().Be(1);
    }

    [Fact]
    public void Lease_AfterReturn_GivesNoAccess()
    {
        using var pool = Create(4);
        var lease = pool.Rent(1000);
        var memory = lease.Memory;
        lease.Dispose();

        lease.Invoking(l => l.Address).Should().Throw<ObjectDisposedException>();
        lease.Invoking(l => l.GetSpan(0, 1).Length).Should().Throw<ObjectDisposedException>();
        lease.Invoking(l => l.AsSpan<byte>().Length).Should().Throw<ObjectDisposedException>();
        lease.Invoking(l => l.Memory).Should().Throw<ObjectDisposedException>();
        lease.Invoking(l => l.ReturnAfter(new VirtualFence())).Should().Throw<ObjectDisposedException>();
        memory.Invoking(m => m.Span.Length).Should().Throw<ObjectDisposedException>();
        lease.IsReturned.Should().BeTrue();
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(0, 1001)]
    [InlineData(1000, 1)]
    [InlineData(1001, 0)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void GetSpan_OutsideTheLease_Throws(long offsetBytes, int lengthBytes)
    {
        using var pool = Create(4);
        using var lease = pool.Rent(1000);

        lease.Invoking(l => l.GetSpan(offsetBytes, lengthBytes).Length).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public async Task Dispose_OnAnotherThread_ReturnsTheMemory()
    {
        using var pool = Create(1);
        var lease = pool.Rent(BlockBytes);

        await Task.Run(lease.Dispose).DefaultTimeout();

        pool.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_WhenFull_WaitsForAReturn()
    {
        using var pool = Create(1);
        var all = pool.Rent(BlockBytes);
        var waiting = pool.RentAsync(1000).AsTask();
        pool.GetSnapshot().WaitingRents.Should().Be(1);

        all.Dispose();

        using var lease = await waiting.DefaultTimeout();
        lease.LengthBytes.Should().Be(1000);
        pool.GetSnapshot().WaitingRents.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_Cancelled_LeavesTheQueueAndKeepsNothing()
    {
        using var pool = Create(1);
        using var cancellation = new CancellationTokenSource();
        using (pool.Rent(BlockBytes))
        {
            var waiting = pool.RentAsync(1000, 256, cancellation.Token).AsTask();
            await cancellation.CancelAsync();

            await waiting.Awaiting(w => w.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        }

        pool.GetSnapshot().UsedBytes.Should().Be(0);
        pool.GetSnapshot().WaitingRents.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_MoreThanTheCapacity_FailsAtOnce()
    {
        using var pool = Create(4);

        await pool.Awaiting(p => p.RentAsync(1L << 50).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>();
    }

    [Fact]
    public async Task ReturnAfter_ReusesTheBytesOnlyBehindTheFence()
    {
        using var pool = Create(1);
        var fence = new VirtualFence();
        pool.Rent(BlockBytes).ReturnAfter(fence);

        pool.GetSnapshot().PendingBytes.Should().Be(BlockBytes);
        pool.GetSnapshot().LiveLeases.Should().Be(0);
        pool.Invoking(p => p.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>().Which.Cause.Should().Be(ExhaustionCause.Pending);
        fence.Complete();

        using var lease = await pool.RentAsync(BlockBytes).DefaultTimeout();
        pool.GetSnapshot().PendingBytes.Should().Be(0);
    }

    [Fact]
    public void Trim_Negative_Throws()
    {
        using var pool = Create(4);

        pool.Invoking(p => p.Trim(-1)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void Trim_IdlePool_GivesEverythingBackAndTheNextRentWorks()
    {
        using var pool = Create(16);
        pool.Rent(1000).Dispose();
        var reserved = pool.GetSnapshot().ReservedBytes;

        pool.Trim().Should().Be(reserved);

        pool.GetSnapshot().ReservedBytes.Should().Be(0);
        using var lease = pool.Rent(1000);
    }

    [Fact]
    public async Task Dispose_Twice_IsANoOp()
    {
        var pool = Create(4);
        pool.Rent(1000).Dispose();
        pool.Dispose();

        pool.Dispose();
        await pool.DisposeAsync();
    }

    [Fact]
    public async Task Rent_AfterDispose_Throws()
    {
        var pool = Create(4);
        pool.Dispose();

        pool.Invoking(p => p.Rent(1)).Should().Throw<ObjectDisposedException>();
        pool.Invoking(p => p.TryRent(1, out _)).Should().Throw<ObjectDisposedException>();
        pool.Invoking(p => p.Trim()).Should().Throw<ObjectDisposedException>();
        await pool.Awaiting(p => p.RentAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public void Rent_EveryBlock_FillsThePoolAndRecovers()
    {
        using var pool = Create(8);
        for (var round = 0; round < 3; round++)
        {
            var leases = RentAll(pool);

            leases.Should().HaveCount(8);
            pool.GetSnapshot().Should().Match<PoolSnapshot>(s => s.UsedBytes == 8 * BlockBytes && s.LargestFreeBytes == 0 && s.FreeBytes == 0);
            leases.ForEach(lease => lease.Dispose());
        }

        pool.GetSnapshot().LiveLeases.Should().Be(0);
    }

    [Fact]
    public async Task Rent_BlocksReturnedByAnotherThread_AreNeverMissed()
    {
        using var pool = Create(4);
        for (var round = 0; round < 200; round++)
        {
            var leases = RentAll(pool);
            leases.Should().HaveCount(4, "what other threads gave back, cached or not, serves everybody (round {0})", round);
            await Task.WhenAll(leases.Select(lease => Task.Run(lease.Dispose))).DefaultTimeout();
        }
    }

    [Fact]
    public async Task ReturnAfter_FencesOfTwoStreams_HoldBackTheirOwnBlocksOnly()
    {
        using var pool = Create(4);
        object stuck = new(), quick = new();
        VirtualFence[] fences = [new(stuck), new(stuck), new(quick), new(quick)];
        var leases = RentAll(pool);
        for (var i = 0; i < leases.Count; i++)
        {
            leases[i].ReturnAfter(fences[i]);
        }

        fences[2].Complete();
        fences[3].Complete();

        using var first = await pool.RentAsync(BlockBytes).DefaultTimeout();
        using var second = await pool.RentAsync(BlockBytes).DefaultTimeout();
        pool.GetSnapshot().PendingBytes.Should().Be(2 * BlockBytes);
        pool.TryRent(BlockBytes, out _).Should().BeFalse();
        fences[0].Complete();
        fences[1].Complete();
    }

    [Fact]
    public async Task RentAsync_HigherPriority_IsServedFirst()
    {
        using var pool = Create(1);
        var all = pool.Rent(BlockBytes);
        var low = pool.RentAsync(new RentRequest(BlockBytes) { Priority = RentPriority.Low }).AsTask();
        var normal = pool.RentAsync(new RentRequest(BlockBytes)).AsTask();
        var high = pool.RentAsync(new RentRequest(BlockBytes) { Priority = RentPriority.High }).AsTask();

        all.Dispose();

        var first = await high.DefaultTimeout();
        normal.IsCompleted.Should().BeFalse();
        first.Dispose();
        var second = await normal.DefaultTimeout();
        low.IsCompleted.Should().BeFalse();
        second.Dispose();
        (await low.DefaultTimeout()).Dispose();
    }

    [Fact]
    public async Task RentAsync_OwnTimeout_EndsTheWait()
    {
        using var pool = Create(1);
        using var all = pool.Rent(BlockBytes);

        foreach (var timeout in new[] { TimeSpan.Zero, TimeSpan.FromMilliseconds(20) })
        {
            await pool.Awaiting(p => p.RentAsync(new RentRequest(1) { Timeout = timeout }).AsTask().DefaultTimeout())
                .Should().ThrowAsync<PinnedMemoryExhaustedException>();
        }

        pool.GetSnapshot().WaitingRents.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_BadRequest_Throws()
    {
        using var pool = Create(1);
        RentRequest[] bad =
        [
            default,
            new(1) { AlignmentBytes = 3 },
            new(1) { Priority = (RentPriority)2 },
            new(1) { Timeout = TimeSpan.FromMilliseconds(-1) },
            new(1) { Timeout = TimeSpan.FromDays(25) },
        ];

        foreach (var request in bad)
        {
            await pool.Awaiting(p => p.RentAsync(request).AsTask().DefaultTimeout()).Should().ThrowAsync<ArgumentOutOfRangeException>();
        }
    }

    [Fact]
    public async Task ManyThreads_NoTwoLeasesEverOverlap()
    {
        using var pool = Create(16);
        var owners = new OwnerMap();
        var threads = Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            var held = new Queue<PinnedLease>();
            for (var i = 0; i < 4000; i++)
            {
                if (held.Count < 6 && pool.TryRent(random.Next(1, (int)BlockBytes + 1), out var lease))
                {
                    owners.Claim(lease, id);
                    held.Enqueue(lease);
                }
                else if (held.TryDequeue(out var oldest))
                {
                    owners.Release(oldest, id);
                    oldest.Dispose();
                }
            }

            foreach (var rest in held)
            {
                owners.Release(rest, id);
                rest.Dispose();
            }
        }));

        await Task.WhenAll(threads).DefaultTimeout();

        pool.GetSnapshot().UsedBytes.Should().Be(0);
        var leases = RentAll(pool);
        leases.Should().HaveCount(16, "every block came back");
        leases.ForEach(lease => lease.Dispose());
    }
}
