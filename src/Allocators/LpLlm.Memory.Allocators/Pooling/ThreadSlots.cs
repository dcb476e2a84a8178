namespace LpLlm.Memory.Pooling;

/// <summary>
/// One slot for each pool in each thread. <see cref="ThreadLocal{T}"/> does the same for three times the price of a hit. An instance
/// lives as long as its thread: the collector finds it when the thread has ended, and what the thread had cached goes back.
/// </summary>
internal sealed class ThreadSlots
{
    private static readonly Lock FreeGate = new();
    private static readonly Stack<int> FreeSlots = new();
    private static int s_last = -1;

    [ThreadStatic]
    private static ThreadCache?[]? s_caches;

    [ThreadStatic]
    private static ThreadSlots? s_lifetime;

    private ThreadCache?[] _caches = [];

    ~ThreadSlots()
    {
        foreach (var cache in _caches)
        {
            cache?.OwnerExited?.Invoke();
        }
    }

    public static int Reserve()
    {
        lock (FreeGate)
        {
            return FreeSlots.TryPop(out var slot) ? slot : ++s_last;
        }
    }

    public static void Release(int slot)
    {
        lock (FreeGate)
        {
            FreeSlots.Push(slot);
        }
    }

    /// <summary>What the calling thread has in the slot; may belong to a disposed pool that had it before.</summary>
    public static ThreadCache? Get(int slot)
    {
        var caches = s_caches;
        return caches is not null && (uint)slot < (uint)caches.Length ? caches[slot] : null;
    }

    public static void Set(int slot, ThreadCache cache)
    {
        var lifetime = s_lifetime ??= new ThreadSlots();
        if (slot >= lifetime._caches.Length)
        {
            Array.Resize(ref lifetime._caches, Math.Max(slot + 1, 2 * lifetime._caches.Length));
            s_caches = lifetime._caches;
        }

        lifetime._caches[slot] = cache;
    }
}
