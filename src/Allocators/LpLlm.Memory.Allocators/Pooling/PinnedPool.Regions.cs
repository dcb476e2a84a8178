using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Pooling;

/// <summary>Leases that have a region to themselves, because other processes see all of it. They count like all others.</summary>
internal partial class PinnedPool
{
    /// <summary>Rents a region that is one lease. Idle slabs make way for it; leases are not waited for.</summary>
    /// <param name="lengthBytes">Length of the lease, at least 1.</param>
    /// <param name="unitBytes">The region's length is the next multiple of this, and is what counts.</param>
    /// <param name="reserve">Takes a region of that length from the source.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="PinnedMemoryExhaustedException">The capacity leaves no room, or the source has none.</exception>
    protected async Task<PinnedLease> RentRegionAsync(
        long lengthBytes, long unitBytes, Func<long, CancellationToken, Task<MemoryRegion>> reserve, CancellationToken cancellationToken)
    {
        var largestBytes = Math.Min(_settings.CapacityBytes, TlsfAllocator.MaxCapacityBytes) / unitBytes * unitBytes;
        PinnedLease? lease = null;
        MemorySourceException? refusal = null;
        if (lengthBytes <= largestBytes)
        {
            var regionBytes = (((lengthBytes - 1) / unitBytes) + 1) * unitBytes;
            try
            {
                lease = await ResizeAsync(token => TakeRegionAsync(lengthBytes, regionBytes, reserve, token), cancellationToken).ConfigureAwait(false);
            }
            catch (MemorySourceException refused)
            {
                refusal = refused;
            }
        }

        if (lease is null)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(lengthBytes, largestBytes, "the pool's CapacityBytes", waited: null, refusal);
        }

        return lease;
    }

    /// <summary>Takes the region's lease back, at once or when its fence completes. No cache keeps it.</summary>
    public void TakeBackWhole(PoolSlab slab, in LeasedBlock block, IFence? fence)
    {
        if (fence is null || FencedReturns<PendingBlock>.HasCompleted(fence))
        {
            Free(slab, block, wasPending: false);
        }
        else
        {
            Suspend(slab, block, fence);
        }
    }

    /// <summary>The semaphore is held, so that what is free stays so until the region is there.</summary>
    private async Task<PinnedLease?> TakeRegionAsync(
        long lengthBytes, long regionBytes, Func<long, CancellationToken, Task<MemoryRegion>> reserve, CancellationToken cancellationToken)
    {
        var missingBytes = regionBytes - (_settings.CapacityBytes - Interlocked.Read(ref _reserved));
        if (missingBytes > 0)
        {
            GiveIdleSlabsUp(missingBytes);
        }

        if (regionBytes > _settings.CapacityBytes - Interlocked.Read(ref _reserved))
        {
            return null;
        }

        MemoryRegion region;
        try
        {
            region = await ReserveRegionAsync(regionBytes, reserve, cancellationToken).ConfigureAwait(false);
        }
        catch (MemorySourceException) when (GiveIdleSlabsUp(regionBytes) > 0)
        {
            // What the source was short of may have been this pool's own.
            region = await ReserveRegionAsync(regionBytes, reserve, cancellationToken).ConfigureAwait(false);
        }

        var slab = new PoolSlab(this, region, _createAllocator(regionBytes)) { IsWhole = true };
        if (!slab.Allocator.TryAllocate(regionBytes, slab.Allocator.UnitBytes, out var block))
        {
            throw new InvalidOperationException($"An empty allocator of {regionBytes} B does not give them as one block.");
        }

        Add(slab);
        return new WholeSlabOwner(this, slab, regionBytes).Lease(block, lengthBytes);
    }

    private async Task<MemoryRegion> ReserveRegionAsync(
        long regionBytes, Func<long, CancellationToken, Task<MemoryRegion>> reserve, CancellationToken cancellationToken)
    {
        try
        {
            return await reserve(regionBytes, cancellationToken).ConfigureAwait(false);
        }
        catch (MemorySourceException refusal) when (refusal.QuarantinedBytes > 0)
        {
            Quarantine(regionBytes, reserved: regionBytes, refusal);
            throw;
        }
    }

    /// <summary>Gives slabs back that hold nothing, until they add up to the bytes, if there are as many.</summary>
    private long GiveIdleSlabsUp(long bytes) =>
        Release(RemoveIdleSlabs(Math.Max(0, Interlocked.Read(ref _reserved) - bytes - _settings.SlabBytes + 1)));
}
