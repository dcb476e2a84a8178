using FluentAssertions;
using Xunit;

namespace LpLlm.Memory.TestKit;

/// <summary>What every <see cref="IPinnedMemoryPool"/> must do. Inherit it and say how to create one over real memory.</summary>
public abstract class PinnedPoolContract
{
    protected const long MiB = 1 << 20;

    /// <summary>A pool whose leases may be written, and which can serve one block of its whole capacity.</summary>
    protected abstract IPinnedMemoryPool Create(long capacityBytes);

    [Fact]
    public void Rent_GivesExactlyTheLengthAtAnAlignedAddress()
    {
        using var pool = Create(8 * MiB);
        using var lease = pool.Rent(1000);

        lease.LengthBytes.Should().Be(1000);
        (lease.Address % 256).Should().Be(0);
        lease.PoolName.Should().Be(pool.Name);
        lease.GetSpan(0, 1000).Length.Should().Be(1000);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task Rent_LengthBelowOne_Throws(long lengthBytes)
    {
        using var pool = Create(MiB);

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
        using var pool = Create(MiB);

        pool.Invoking(p => p.Rent(1, alignmentBytes)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(65536)]
    [InlineData(2 << 20)]
    public void Rent_Alignment_IsKept(int alignmentBytes)
    {
        using var pool = Create(16 * MiB);
        using var odd = pool.Rent(300);
        using var lease = pool.Rent(5000, alignmentBytes);

        (lease.Address % alignmentBytes).Should().Be(0);
    }

    [Fact]
    public void Rent_ExactlyTheCapacity_SucceedsAndRecovers()
    {
        using var pool = Create(4 * MiB);
        var capacity = pool.GetSnapshot().CapacityBytes;
        for (var round = 0; round < 2; round++)
        {
            using var all = pool.Rent(capacity);

            pool.TryRent(1, out _).Should().BeFalse();
            pool.GetSnapshot().LargestFreeBytes.Should().Be(0);
        }
    }

    [Fact]
    public void Rent_MoreThanTheCapacity_IsATypedErrorThatIsNotTransient()
    {
        using var pool = Create(4 * MiB);
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
        using var pool = Create(MiB);
        using var all = pool.Rent(pool.GetSnapshot().CapacityBytes);

        pool.Invoking(p => p.Rent(256)).Should().Throw<PinnedMemoryExhaustedException>().Which.IsTransient.Should().BeTrue();
    }

    [Fact]
    public void Leases_HoldTheirBytesApart()
    {
        using var pool = Create(4 * MiB);
        var leases = Enumerable.Range(0, 100).Select(i => pool.Rent(1 + (i * 331))).ToList();
        for (var i = 0; i < leases.Count; i++)
        {
            leases[i].AsSpan<byte>().Fill((byte)i);
        }

        for (var i = 0; i < leases.Count; i++)
        {
            leases[i].AsSpan<byte>().IndexOfAnyExcept((byte)i).Should().Be(-1);
            leases[i].Dispose();
        }

        pool.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public void Snapshot_AccountsForEveryByte()
    {
        using var pool = Create(4 * MiB);
        using var a = pool.Rent(1000);
        using var b = pool.Rent(4096);

        var snapshot = pool.GetSnapshot();

        snapshot.LiveLeases.Should().Be(2);
        snapshot.UsedBytes.Should().BeGreaterThanOrEqualTo(5096);
        snapshot.PeakUsedBytes.Should().Be(snapshot.UsedBytes);
        snapshot.TotalRents.Should().Be(2);
        (snapshot.UsedBytes + snapshot.FreeBytes + snapshot.PendingBytes + snapshot.CachedBytes).Should().Be(snapshot.CapacityBytes);
        snapshot.LargestFreeBytes.Should().BeLessThanOrEqualTo(snapshot.FreeBytes);
    }

    [Fact]
    public void Dispose_LeaseTwice_ReturnsItOnce()
    {
        using var pool = Create(MiB);
        var lease = pool.Rent(1000);
        lease.Dispose();
        using var next = pool.Rent(1000);

        lease.Dispose();

        pool.GetSnapshot().LiveLeases.Should().Be(1);
    }

    [Fact]
    public void Lease_AfterReturn_GivesNoAccess()
    {
        using var pool = Create(MiB);
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
        using var pool = Create(MiB);
        using var lease = pool.Rent(1000);

        lease.Invoking(l => l.GetSpan(offsetBytes, lengthBytes).Length).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public async Task Dispose_OnAnotherThread_ReturnsTheMemory()
    {
        using var pool = Create(MiB);
        var lease = pool.Rent(pool.GetSnapshot().CapacityBytes);

        await Task.Run(lease.Dispose).DefaultTimeout();

        pool.GetSnapshot().UsedBytes.Should().Be(0);
    }

    [Fact]
    public async Task RentAsync_WhenFull_WaitsForAReturn()
    {
        using var pool = Create(MiB);
        var all = pool.Rent(pool.GetSnapshot().CapacityBytes);
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
        using var pool = Create(MiB);
        using var cancellation = new CancellationTokenSource();
        using (pool.Rent(pool.GetSnapshot().CapacityBytes))
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
        using var pool = Create(MiB);

        await pool.Awaiting(p => p.RentAsync(1L << 50).AsTask().DefaultTimeout())
            .Should().ThrowAsync<PinnedMemoryExhaustedException>();
    }

    [Fact]
    public async Task ReturnAfter_ReusesTheBytesOnlyBehindTheFence()
    {
        using var pool = Create(MiB);
        var capacity = pool.GetSnapshot().CapacityBytes;
        var fence = new VirtualFence();
        pool.Rent(capacity).ReturnAfter(fence);

        pool.GetSnapshot().PendingBytes.Should().Be(capacity);
        pool.GetSnapshot().LiveLeases.Should().Be(0);
        pool.Invoking(p => p.Rent(1)).Should().Throw<PinnedMemoryExhaustedException>().Which.Cause.Should().Be(ExhaustionCause.Pending);
        fence.Complete();

        using var lease = await pool.RentAsync(capacity).DefaultTimeout();
        pool.GetSnapshot().PendingBytes.Should().Be(0);
    }

    [Fact]
    public void Trim_Negative_Throws()
    {
        using var pool = Create(MiB);

        pool.Invoking(p => p.Trim(-1)).Should().Throw<ArgumentOutOfRangeException>();
    }

    [Fact]
    public void Trim_IdlePool_GivesEverythingBackAndTheNextRentWorks()
    {
        using var pool = Create(4 * MiB);
        pool.Rent(1000).Dispose();
        var reserved = pool.GetSnapshot().ReservedBytes;

        pool.Trim().Should().Be(reserved);

        pool.GetSnapshot().ReservedBytes.Should().Be(0);
        using var lease = pool.Rent(1000);
    }

    [Fact]
    public async Task Dispose_Twice_IsANoOp()
    {
        var pool = Create(MiB);
        pool.Rent(1000).Dispose();
        pool.Dispose();

        pool.Dispose();
        await pool.DisposeAsync();
    }

    [Fact]
    public async Task Rent_AfterDispose_Throws()
    {
        var pool = Create(MiB);
        pool.Dispose();

        pool.Invoking(p => p.Rent(1)).Should().Throw<ObjectDisposedException>();
        pool.Invoking(p => p.TryRent(1, out _)).Should().Throw<ObjectDisposedException>();
        pool.Invoking(p => p.Trim()).Should().Throw<ObjectDisposedException>();
        await pool.Awaiting(p => p.RentAsync(1).AsTask().DefaultTimeout()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task ManyThreads_RentFillCheckReturn_NeverSeeEachOthersBytes()
    {
        using var pool = Create(8 * MiB);
        var threads = Enumerable.Range(1, 4).Select(id => Task.Run(() =>
        {
            var random = new Random(id);
            var held = new Queue<(PinnedLease Lease, byte Mark)>();
            for (var i = 0; i < 3000; i++)
            {
                if (held.Count < 20 && pool.TryRent(random.Next(1, 100_000), out var lease, 1 << random.Next(0, 14)))
                {
                    var mark = (byte)(random.Next(1, 60) + (id * 60));
                    lease.AsSpan<byte>().Fill(mark);
                    held.Enqueue((lease, mark));
                }
                else if (held.TryDequeue(out var oldest))
                {
                    CheckAndReturn(oldest.Lease, oldest.Mark);
                }
            }

            while (held.TryDequeue(out var rest))
            {
                CheckAndReturn(rest.Lease, rest.Mark);
            }
        }));

        await Task.WhenAll(threads).DefaultTimeout();

        var snapshot = pool.GetSnapshot();
        snapshot.UsedBytes.Should().Be(0);
        snapshot.LiveLeases.Should().Be(0);
    }

    private static void CheckAndReturn(PinnedLease lease, byte mark)
    {
        lease.AsSpan<byte>().IndexOfAnyExcept(mark).Should().Be(-1);
        lease.Dispose();
    }
}
