namespace LpLlm.Memory.Attention;

/// <summary>
/// Counts the bytes of KV pages against <see cref="AttnManagerOptions.PoolSize"/>. Bytes are taken before the pool is asked
/// and given back after it has the page again, so that the limit holds at every instant. Thread-safe.
/// </summary>
internal sealed class PageBudget(string poolName, long? limitBytes)
{
    private readonly Lock _gate = new();
    private long _usedBytes;
    private long _peakBytes;
    private long _pages;
    private long _failures;

    public void Take(long bytes)
    {
        lock (_gate)
        {
            if (limitBytes is { } limit && bytes > limit - _usedBytes)
            {
                _failures++;
                throw new PinnedMemoryExhaustedException(
                    poolName, ExhaustionCause.Limit, bytes, limit, SnapshotUnsynchronized(limit), limitName: nameof(AttnManagerOptions.PoolSize));
            }

            _usedBytes += bytes;
            _peakBytes = Math.Max(_peakBytes, _usedBytes);
            _pages++;
        }
    }

    public void GiveBack(long bytes)
    {
        lock (_gate)
        {
            _usedBytes -= bytes;
            _pages--;
        }
    }

    private PoolSnapshot SnapshotUnsynchronized(long limit) => new()
    {
        CapacityBytes = limit,
        ReservedBytes = _usedBytes,
        UsedBytes = _usedBytes,
        LargestFreeBytes = limit - _usedBytes,
        PeakUsedBytes = _peakBytes,
        LiveLeases = _pages,
        FailedRents = _failures,
    };
}
