namespace LpLlm.Memory.Pooling;

/// <summary>What a pool of fixed blocks counts outside of its threads' caches. Thread-safe.</summary>
internal sealed class FixedBlockAccounts
{
    private long _taken;
    private long _peak;
    private long _rents;
    private long _returns;
    private long _failed;
    private long _pending;
    private long _stranded;

    /// <summary>Blocks that are not in the stack: leased, pending or cached. Blocks are counted after they are taken, and after they are given back.</summary>
    public long Taken => Volatile.Read(ref _taken);

    /// <summary>The highest <see cref="Taken"/> so far.</summary>
    public long Peak => Volatile.Read(ref _peak);

    public long Rents => Volatile.Read(ref _rents);

    public long Returns => Volatile.Read(ref _returns);

    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Blocks behind fences, those included whose fence has failed.</summary>
    public long Pending => Volatile.Read(ref _pending);

    /// <summary>Whether some block is pending whose fence may still complete.</summary>
    public bool CanRetire => Pending > Volatile.Read(ref _stranded);

    public void CountTaken(int blocks)
    {
        var taken = Interlocked.Add(ref _taken, blocks);
        var peak = Volatile.Read(ref _peak);
        while (taken > peak)
        {
            var found = Interlocked.CompareExchange(ref _peak, taken, peak);
            if (found == peak)
            {
                return;
            }

            peak = found;
        }
    }

    /// <summary>Returns how many are still taken.</summary>
    public long CountGivenBack(int blocks) => Interlocked.Add(ref _taken, -blocks);

    public void Add(long rents, long returns)
    {
        Interlocked.Add(ref _rents, rents);
        Interlocked.Add(ref _returns, returns);
    }

    public void CountReturn() => Interlocked.Increment(ref _returns);

    public void CountFailed() => Interlocked.Increment(ref _failed);

    public void CountPending(int blocks) => Interlocked.Add(ref _pending, blocks);

    public void CountStranded() => Interlocked.Increment(ref _stranded);
}
