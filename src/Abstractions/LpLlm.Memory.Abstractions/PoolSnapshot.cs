namespace LpLlm.Memory;

/// <summary>
/// A pool's accounts. <c>Used + Pending + Cached + Quarantined + Free = Capacity</c> always holds; while other threads rent, used and cached bytes may
/// be from instants a few rents apart.
/// </summary>
public readonly record struct PoolSnapshot
{
    /// <summary>The most bytes that the pool may ever hold.</summary>
    public long CapacityBytes { get; init; }

    /// <summary>Bytes taken from the source now, in use or idle; at most <see cref="CapacityBytes"/>, except under a limit, which bounds rents only.</summary>
    public long ReservedBytes { get; init; }

    /// <summary>Reserved bytes that are not page-locked; above 0 only where pageable memory was explicitly allowed.</summary>
    public long PageableBytes { get; init; }

    /// <summary>Bytes in live leases, rounding to allocation units included.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Bytes returned behind a fence that has not completed.</summary>
    public long PendingBytes { get; init; }

    /// <summary>Free bytes held back in caches for quick reuse; they serve any rent that would otherwise fail.</summary>
    public long CachedBytes { get; init; }

    /// <summary>Bytes that were to be given back and could not be page-unlocked: still mapped, still counted, never used again.</summary>
    public long QuarantinedBytes { get; init; }

    /// <summary>All other bytes, those not yet taken from the source included.</summary>
    public long FreeBytes => CapacityBytes - UsedBytes - PendingBytes - CachedBytes - QuarantinedBytes;

    /// <summary>The largest rent (at default alignment) that would succeed now, growth included; what emptying the caches adds is not.</summary>
    public long LargestFreeBytes { get; init; }

    /// <summary>The highest <see cref="UsedBytes"/> + <see cref="PendingBytes"/> + <see cref="CachedBytes"/> so far.</summary>
    public long PeakUsedBytes { get; init; }

    /// <summary>Leases out now.</summary>
    public long LiveLeases { get; init; }

    /// <summary>Asynchronous rents that are queued now.</summary>
    public int WaitingRents { get; init; }

    /// <summary>Leases handed out so far.</summary>
    public long TotalRents { get; init; }

    /// <summary>Rents that found no room so far: thrown, answered false, or timed out.</summary>
    public long FailedRents { get; init; }
}
