using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// Thread caches (magazines) in front of the allocators: the hottest lengths are rented and returned without meeting another thread. The
/// pool's own accounts count a cached block as used; the snapshot takes it out again.
/// </summary>
internal partial class PinnedPool
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

        ref var block = ref cache.TryPop(RoundedBytes(lengthBytes), alignmentBytes - 1);
        if (Unsafe.IsNullRef(ref block))
        {
            cache.Exit();
            return null;
        }

        var (slab, address, token) = (block.Slab!, block.Address, block.Token);
        block.Slab = null;
        cache.Exit();
        return slab.Lease(address, lengthBytes, token);
    }

    private bool TryCache(PoolSlab slab, in LeasedBlock block)
    {
        if (block.LengthBytes > _cacheBytes || _caches?.TryEnter() is not { } cache)
        {
            return false;
        }

        var bytes = RoundedBytes(block.LengthBytes);
        ref var place = ref cache.TryPush(bytes);
        if (Unsafe.IsNullRef(ref place))
        {
            place = ref MakeRoom(cache, bytes); // leaves the cache if it throws
            if (Unsafe.IsNullRef(ref place))
            {
                cache.Exit();
                return false;
            }
        }

        place.Slab = slab;
        place.Address = block.Address;
        place.LengthBytes = bytes;
        place.Token = block.Token;
        cache.Exit();
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ref CachedBlock MakeRoom(BlockCache cache, long bytes)
    {
        if (!cache.TryMakeRoom(bytes, out var flush))
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        try
        {
            Flush(cache, flush.Stack, flush.Blocks);
        }
        catch
        {
            cache.Exit(); // a block that a wrapper returned twice, say: an error, but not a gate that stays shut
            throw;
        }

        return ref cache.TryPush(bytes);
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
        block.Slab!.FreeUnsynchronized(block.Address, block.LengthBytes, block.Token);
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
