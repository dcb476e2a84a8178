using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// The per-thread caches of one pool. A thread enters its own cache without meeting anybody; whoever must see all free memory (a rent
/// that would fail, a waiter, Trim, disposal) closes them, empties them one by one, and opens them again when it is done.
/// </summary>
/// <remarks>
/// After <see cref="Close"/> and <see cref="Drain()"/> every cache is empty and stays so until <see cref="Open"/>: an owner
/// looks at the closed flag inside its gate, so it either put its block in before the draining, which then finds it, or goes past its cache.
/// That is what makes a failing rent's answer true.
/// </remarks>
internal sealed class ThreadCaches<TCache>(Func<TCache> create, Action<TCache> drain)
    where TCache : ThreadCache
{
    private readonly int _slot = ThreadSlots.Reserve();
    private readonly Lock _gate = new();
    private TCache[] _all = [];
    private int _closed;

    /// <summary>The calling thread's cache, entered; null while the caches are closed. The caller must call Exit on it, and not block before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TCache? TryEnter()
    {
        var found = ThreadSlots.Get(_slot);
        var cache = found is not null && ReferenceEquals(found.Set, this) ? Unsafe.As<TCache>(found) : RegisterUnlessClosed();
        if (cache is null)
        {
            return null;
        }

        cache.Enter();
        if (Volatile.Read(ref _closed) == 0)
        {
            return cache;
        }

        cache.Exit();
        return null;
    }

    /// <summary>From here until <see cref="Open"/> no thread gets into its cache; one that is in it may still be. Nests.</summary>
    public void Close() => Interlocked.Increment(ref _closed);

    public void Open() => Interlocked.Decrement(ref _closed);

    /// <summary>Empties every cache, each inside its gate.</summary>
    public void Drain()
    {
        foreach (var cache in Volatile.Read(ref _all))
        {
            Drain(cache);
        }
    }

    /// <summary>A figure of all caches; while their owners rent, it mixes instants a few rents apart.</summary>
    public long Sum(Func<TCache, long> figure)
    {
        long sum = 0;
        foreach (var cache in Volatile.Read(ref _all))
        {
            sum += figure(cache);
        }

        return sum;
    }

    /// <summary>Gives the slot to other pools. The caches must be empty and stay closed.</summary>
    public void Release()
    {
        lock (_gate)
        {
            // The slots of threads keep the caches until another pool overwrites them; they must not keep the pool too.
            foreach (var cache in _all)
            {
                cache.Set = null;
                cache.OwnerExited = null;
            }

            Volatile.Write(ref _all, []);
        }

        ThreadSlots.Release(_slot);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private TCache? RegisterUnlessClosed()
    {
        if (Volatile.Read(ref _closed) != 0)
        {
            return null; // perhaps disposed, and the slot another pool's
        }

        var cache = create();
        cache.Set = this;
        cache.OwnerExited = () => Unregister(cache);
        lock (_gate)
        {
            if (Volatile.Read(ref _closed) != 0)
            {
                return null; // disposed meanwhile: the slot is another pool's
            }

            Volatile.Write(ref _all, [.. _all, cache]);
        }

        ThreadSlots.Set(_slot, cache);
        return cache;
    }

    private void Unregister(TCache cache)
    {
        Drain(cache);
        lock (_gate)
        {
            Volatile.Write(ref _all, [.. _all.Where(other => other != cache)]);
        }
    }

    private void Drain(TCache cache)
    {
        cache.Enter();
        try
        {
            drain(cache);
        }
        finally
        {
            cache.Exit();
        }
    }
}
