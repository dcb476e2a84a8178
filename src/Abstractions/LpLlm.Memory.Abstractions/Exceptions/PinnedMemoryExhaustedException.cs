namespace LpLlm.Memory;

/// <summary>A pool had no room for a request.</summary>
public sealed class PinnedMemoryExhaustedException : PinnedMemoryException
{
    private readonly bool _neverFits;

    /// <summary>Creates the exception.</summary>
    /// <param name="poolName">Name of the pool.</param>
    /// <param name="cause">Why there was no room.</param>
    /// <param name="requestedBytes">Bytes asked for.</param>
    /// <param name="largestBlockBytes">The largest block that the pool can serve when it is empty.</param>
    /// <param name="snapshot">The pool's accounts at that instant.</param>
    /// <param name="waited">How long the call had waited, for a deadline that passed.</param>
    /// <param name="limitName">The option that sets the limit, for the message.</param>
    /// <param name="innerException">What the memory source said, for <see cref="ExhaustionCause.NoMemory"/>.</param>
    public PinnedMemoryExhaustedException(
        string poolName,
        ExhaustionCause cause,
        long requestedBytes,
        long largestBlockBytes,
        in PoolSnapshot snapshot,
        TimeSpan? waited = null,
        string limitName = "CapacityBytes",
        Exception? innerException = null)
        : base(Describe(poolName, cause, requestedBytes, largestBlockBytes, snapshot, waited, limitName, innerException), innerException)
    {
        PoolName = poolName;
        Cause = cause;
        RequestedBytes = requestedBytes;
        LargestBlockBytes = largestBlockBytes;
        Snapshot = snapshot;
        _neverFits = requestedBytes > largestBlockBytes;
    }

    /// <summary>Why there was no room.</summary>
    public ExhaustionCause Cause { get; }

    /// <summary>Bytes asked for.</summary>
    public long RequestedBytes { get; }

    /// <summary>The largest block that the pool can serve when it is empty.</summary>
    public long LargestBlockBytes { get; }

    /// <summary>The pool's accounts when the request failed: used, pending, cached and largest free bytes.</summary>
    public PoolSnapshot Snapshot { get; }

    /// <summary>True unless the request exceeds what even an empty pool can serve.</summary>
    public override bool IsTransient => !_neverFits;

    private static string Describe(
        string poolName,
        ExhaustionCause cause,
        long requested,
        long largestBlock,
        in PoolSnapshot s,
        TimeSpan? waited,
        string limitName,
        Exception? refusal)
    {
        var what = $"Pool '{poolName}' cannot rent {requested} B";
        if (waited is { } time)
        {
            what += $" (waited {time.TotalSeconds:0.###} s)";
        }

        var remedy = requested > largestBlock
            ? $"the largest block it can ever serve is {largestBlock} B: raise {(limitName == "CapacityBytes" ? "CapacityBytes and SlabBytes" : limitName)}, or rent less"
            : cause switch
            {
                ExhaustionCause.Fragmented => $"enough is free, but not in one piece: return leases, or raise {limitName}",
                ExhaustionCause.Pending => $"the memory waits for device work: complete it, or raise {limitName}",
                ExhaustionCause.NoMemory => $"the pool could not grow: {refusal?.Message ?? "the memory source has no more to give"}",
                _ => $"return leases, wait for them, or raise {limitName}",
            };
        return $"{what}: {remedy}. Cause {cause}; capacity {s.CapacityBytes} B, used {s.UsedBytes} B in {s.LiveLeases} leases, "
            + $"pending {s.PendingBytes} B, cached {s.CachedBytes} B, largest free {s.LargestFreeBytes} B.";
    }
}
