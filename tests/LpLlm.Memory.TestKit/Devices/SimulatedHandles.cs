using System.Collections.Concurrent;

namespace LpLlm.Memory.TestKit;

/// <summary>
/// Streams and events by handle, for the whole process, as a driver keeps them. Weak: a handle whose fence was dropped is one on
/// which nobody may wait any more.
/// </summary>
internal static class SimulatedHandles
{
    private static readonly ConcurrentDictionary<nint, WeakReference<object>> Live = new();
    private static long s_last = 0x5000;

    public static nint Add(object target)
    {
        var handle = (nint)Interlocked.Increment(ref s_last);
        Live[handle] = new WeakReference<object>(target);
        return handle;
    }

    public static void Remove(nint handle) => Live.TryRemove(handle, out _);

    public static T? Find<T>(nint handle)
        where T : class =>
        Live.TryGetValue(handle, out var reference) && reference.TryGetTarget(out var target) ? target as T : null;
}
