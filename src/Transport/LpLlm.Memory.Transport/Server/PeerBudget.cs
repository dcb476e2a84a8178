namespace LpLlm.Memory.Transport.Server;

/// <summary>
/// What the requests of all clients together may take of something: bytes that wait in the server, descriptors of messages that are not whole. While there
/// is room anybody may have it. Once there is none, it is taken from who has most: of the users the one with most, of that user's processes the one with
/// most. So who asks for little gets it, whatever others hold. Thread-safe.
/// </summary>
/// <param name="max">All together.</param>
internal sealed class PeerBudget(long max)
{
    private readonly Lock _gate = new();
    private readonly HashSet<PeerShare> _shares = [];
    private long _held;

    public long Max => max;

    /// <summary>What all shares hold now.</summary>
    public long Held
    {
        get
        {
            lock (_gate)
            {
                return _held;
            }
        }
    }

    /// <summary>A connection's part, until it is disposed.</summary>
    /// <param name="peer">Whose.</param>
    /// <param name="drop">Ends the connection because its process has most: what it holds counts as given back. Called off any lock; must not wait.</param>
    public PeerShare Join(PoolPeer peer, Action<string> drop)
    {
        var share = new PeerShare(this, peer, drop);
        lock (_gate)
        {
            _shares.Add(share);
        }

        return share;
    }

    /// <summary>Takes all of it or nothing.</summary>
    /// <returns>False if there is no room, and nobody has more than this share's process would have.</returns>
    internal bool TryTake(PeerShare share, long amount)
    {
        List<PeerShare> dropped = [];
        bool isTaken;
        lock (_gate)
        {
            isTaken = _shares.Contains(share) && TryTakeUnsynchronized(share, amount, dropped);
        }

        foreach (var one in dropped)
        {
            one.Drop($"the server had no room left for other clients' requests, and this client held most of it ({max} in all)");
        }

        return isTaken;
    }

    internal void Return(PeerShare share, long amount)
    {
        lock (_gate)
        {
            if (_shares.Contains(share))
            {
                share.Held -= amount;
                _held -= amount;
            }
        }
    }

    internal void Leave(PeerShare share)
    {
        lock (_gate)
        {
            RemoveUnsynchronized(share);
        }
    }

    private bool TryTakeUnsynchronized(PeerShare share, long amount, List<PeerShare> dropped)
    {
        share.Held += amount;
        _held += amount;
        List<PeerShare> others = _held > max ? [.. _shares] : [];
        for (var excess = _held - max; excess > 0;)
        {
            var process = others.GroupBy(one => one.User).MaxBy(Held)!.GroupBy(one => one.Process).MaxBy(Held)!;
            if (process.Contains(share))
            {
                share.Held -= amount;
                _held -= amount;
                dropped.Clear(); // for nothing nobody is dropped
                return false;
            }

            excess -= Held(process);
            dropped.AddRange(process);
            others.RemoveAll(dropped.Contains);
        }

        dropped.ForEach(RemoveUnsynchronized);
        return true;

        static long Held<T>(IGrouping<T, PeerShare> group) => group.Sum(one => one.Held);
    }

    private void RemoveUnsynchronized(PeerShare share)
    {
        if (_shares.Remove(share))
        {
            _held -= share.Held;
            share.Held = 0;
        }
    }
}
