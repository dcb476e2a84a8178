using System.Collections.Concurrent;

namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>Returned blocks that are kept back, oldest first. They are checked when they leave.</summary>
/// <remarks>Thread-safe; blocks are checked and released outside of any lock.</remarks>
internal sealed class Quarantine(LeakDetectionOptions options)
{
    private readonly ConcurrentQueue<LeaseRecord> _records = new();
    private long _bytes;
    private long _blocks;
    private long _released;
    private int _releasing;

    /// <summary>Bytes that the pool underneath counts as used, without its rounding.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    public long Blocks => Interlocked.Read(ref _blocks);

    /// <summary>Blocks that have left.</summary>
    public long Released => Interlocked.Read(ref _released);

    /// <summary>Whether another thread is about to give up a block, or some wait here.</summary>
    public bool IsBusy => Volatile.Read(ref _releasing) != 0 || !_records.IsEmpty;

    public void Add(LeaseRecord record)
    {
        Interlocked.Add(ref _bytes, record.HeldBytes);
        Interlocked.Increment(ref _blocks);
        _records.Enqueue(record);
        ReleaseDownTo(options.QuarantineBytes);
    }

    /// <summary>Gives up the oldest blocks until no more than that is kept.</summary>
    public void ReleaseDownTo(long bytes)
    {
        while (Bytes > bytes && TryReleaseOldest())
        {
        }
    }

    private bool TryReleaseOldest()
    {
        Interlocked.Increment(ref _releasing);
        try
        {
            if (!_records.TryDequeue(out var record))
            {
                return false;
            }

            if (options.PoisonOnReturn)
            {
                record.CheckPoison();
            }

            Interlocked.Add(ref _bytes, -record.HeldBytes);
            Interlocked.Decrement(ref _blocks);
            record.Release();
            Interlocked.Increment(ref _released);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _releasing);
        }
    }
}
