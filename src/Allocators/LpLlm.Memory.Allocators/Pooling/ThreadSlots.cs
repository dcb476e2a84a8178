namespace LpLlm.Memory.Pooling;

/// <summary>One slot for each pool in each thread. <see cref="ThreadLocal{T}"/> does the same for three times the price of a hit.</summary>
internal sealed class ThreadSlots
{
    [ThreadStatic]
    private static ThreadSlots? s_slots;

    private static readonly Lock FreeGate = new();
    private static readonly Stack<int> FreeSlots = new();
    private static int s_last = -1;

    private ThreadCache?[] _caches = [];

    /// <summary>The collector finds the slots of a thread that has ended, and what it had cached goes back.</summary>
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
        var caches = s_slots?._caches;
        return caches is not null && (uint)slot < (uint)caches.Length ? caches[slot] : null;
    }

    public static void Set(int slot, ThreadCache cache)
    {
        var slots = s_slots ??= new ThreadSlots();
        if (slot >= slots._caches.Length)
        {
            Array.Resize(ref slots._caches, Math.Max(slot + 1, 2 * slots._caches.Length));
        }

        slots._caches[slot] = cache;
    }
}
