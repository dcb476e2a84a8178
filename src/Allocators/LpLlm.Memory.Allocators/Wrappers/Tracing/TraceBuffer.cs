using System.Runtime.InteropServices;

namespace LpLlm.Memory.Wrappers.Tracing;

/// <summary>A bounded ring from many threads to one. Adding is one compare-and-swap; what finds the ring full is counted, not kept.</summary>
/// <remarks>
/// Places are taken in the order in which <see cref="TryAdd"/> claims them, and read in that order: if one call returns before
/// another begins, on whatever threads, its record comes first.
/// </remarks>
/// <param name="capacity">A power of two.</param>
internal sealed class TraceBuffer(int capacity)
{
    private readonly Slot[] _slots = new Slot[capacity];
    private Padded _claimed;
    private Padded _read;
    private Padded _lost;

    /// <summary>Adds from any thread. False when there is no room.</summary>
    public bool TryAdd(in TraceRecord record)
    {
        while (true)
        {
            var place = Volatile.Read(ref _claimed.Value);
            if (place - Volatile.Read(ref _read.Value) >= _slots.Length)
            {
                Interlocked.Increment(ref _lost.Value);
                return false;
            }

            if (Interlocked.CompareExchange(ref _claimed.Value, place + 1, place) == place)
            {
                ref var slot = ref _slots[place & (_slots.Length - 1)];
                slot.Record = record;
                Volatile.Write(ref slot.Published, place + 1);
                return true;
            }
        }
    }

    /// <summary>Takes the oldest record. Only one thread may; false also while the oldest is still being written.</summary>
    public bool TryTake(out TraceRecord record)
    {
        var place = _read.Value;
        ref var slot = ref _slots[place & (_slots.Length - 1)];
        if (Volatile.Read(ref slot.Published) != place + 1)
        {
            record = default;
            return false;
        }

        record = slot.Record;
        Volatile.Write(ref _read.Value, place + 1);
        return true;
    }

    /// <summary>Records lost since the last call.</summary>
    public long TakeLost() => Interlocked.Exchange(ref _lost.Value, 0);

    private struct Slot
    {
        public long Published;
        public TraceRecord Record;
    }

    /// <summary>Two cache lines of its own: the threads that add would otherwise slow the reader down, and it them.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct Padded
    {
        [FieldOffset(64)]
        public long Value;
    }
}
