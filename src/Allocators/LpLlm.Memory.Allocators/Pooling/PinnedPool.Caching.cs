namespace LpLlm.Memory.Pooling;

/// <summary>
/// Thread caches (magazines) in front of the allocators: the hottest lengths are rented and returned without meeting another thread. The
/// pool's own accounts count a cached block as used; the snapshot takes it out again.
/// </summary>
internal sealed partial class PinnedPool
{
    private readonly ThreadCaches<BlockCache>? _caches;
    private readonly long _cacheBytes;

    /// <summary>What one thread may keep: all processors' threads together at most an eighth of the pool, or caches would crowd a small one.</summary>
    private static long CacheBytesFor(PinnedPoolSettings settings) =>
        Math.Min(settings.ThreadCacheBytes, settings.CapacityBytes / (8 * Environment.ProcessorCount));

    private PinnedLease? TakeCached(long lengthBytes, int alignmentBytes)
    {
        if (lengthBytes > _cacheBytes || _caches?.TryEnter() is not { } cache)
        {
            return null;
        }

        var found = cache.TryPop(RoundedBytes(lengthBytes), alignmentBytes - 1, out var block);
        cache.Exit();
        return found ? block.Slab.Lease(block.Address, lengthBytes, block.Token) : null;
    }

    private bool TryCache(PoolSlab slab, in LeasedBlock block)
    {
        if (block.LengthBytes > _cacheBytes || _caches?.TryEnter() is not { } cache)
        {
            return false;
        }

        var bytes = RoundedBytes(block.LengthBytes);
        var cached = new CachedBlock(slab, block.Address, bytes, block.Token);
        var kept = cache.TryPush(cached, out var flush);
        if (!kept && flush.Blocks > 0)
        {
            Flush(cache, flush.Stack, flush.Blocks);
            kept = cache.TryPush(cached, out _);
        }

        cache.Exit();
        return kept;
    }

    /// <summary>Gives the upper blocks of a stack back to the allocators; the caller has entered the cache.</summary>
    private void Flush(BlockCache cache, int stack, int blocks)
    {
        _gate.Enter();
        try
        {
            for (; blocks > 0; blocks--)
            {
                FreeCachedUnsynchronized(cache.Remove(stack));
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Gives everything a cache holds back to the allocators; the caller has entered it.</summary>
    private void DrainCache(BlockCache cache)
    {
        _gate.Enter();
        try
        {
            while (cache.TryRemove(out var block))
            {
                FreeCachedUnsynchronized(block);
            }

            _totalRents += cache.CollectHits();
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void FreeCachedUnsynchronized(in CachedBlock block)
    {
        block.Slab.FreeUnsynchronized(block.Address, block.LengthBytes, block.Token);
        _used -= block.LengthBytes;
        _live--;
    }

    /// <summary>All free memory is in the allocators from here on, until <see cref="OpenCaches"/>.</summary>
    private void CloseCaches()
    {
        if (_caches is not null)
        {
            _caches.Close();
            _caches.Drain();
        }
    }

    private void OpenCaches() => _caches?.Open();

    private long RoundedBytes(long lengthBytes) => (lengthBytes + _unitMask) & ~_unitMask;
}
