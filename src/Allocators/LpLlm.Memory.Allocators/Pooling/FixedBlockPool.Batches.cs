namespace LpLlm.Memory.Pooling;

/// <summary>Several blocks at once. They leave the stack in one step, so a failing call never holds a block that somebody else misses.</summary>
internal sealed partial class FixedBlockPool
{
    // A walk over n blocks loses to a thread that rents singly; after so many losses it gets the stack to itself.
    private const int BatchAttempts = 8;

    public bool TryRentBlocks(Span<PinnedLease> leases)
    {
        if (leases.IsEmpty)
        {
            throw new ArgumentException("There must be room for at least one lease.", nameof(leases));
        }

        ObjectDisposedException.ThrowIf(IsDisposed, this);
        var number = TakeBlocks(leases.Length);
        if (number == BlockStack.None)
        {
            _accounts.CountFailed();
            return false;
        }

        _accounts.CountTaken(leases.Length);
        _accounts.Add(rents: leases.Length, returns: 0);
        for (var i = 0; i < leases.Length; i++)
        {
            // The link first: who gets the lease may return the block at once.
            var next = _free.Next(number);
            leases[i] = Lease(number, _blockBytes);
            number = next;
        }

        return true;
    }

    private int TakeBlocks(int count)
    {
        if (count > Blocks)
        {
            return BlockStack.None;
        }

        try
        {
            if (_free.TryPopExactly(count, attempts: 1, out var first) && first != BlockStack.None)
            {
                return first;
            }

            first = TakeBlocksAnywhere(count);
            if (first == BlockStack.None && _accounts.CanRetire)
            {
                _fenced.Sweep();
                first = TakeBlocksAnywhere(count);
            }

            return first;
        }
        catch (MemorySourceException refusal)
        {
            AllocatorsLog.BlocksRefused(_logger, refusal, Name, _source.Name);
            return BlockStack.None;
        }
    }

    /// <summary>A chain, or <see cref="BlockStack.None"/> when at one instant fewer were free.</summary>
    private int TakeBlocksAnywhere(int count)
    {
        while (true)
        {
            var phase = Volatile.Read(ref _phase);
            if (IsShut(phase))
            {
                OpenRegionAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
                continue;
            }

            _caches.Close();
            try
            {
                _caches.Drain();
                var overtaken = !_free.TryPopExactly(count, BatchAttempts, out var first);
                if (first != BlockStack.None
                    || (overtaken ? TryPopAlone(count, out first) : Volatile.Read(ref _phase) == phase))
                {
                    return first;
                }
            }
            finally
            {
                _caches.Open();
            }
        }
    }

    /// <summary>Takes the whole stack in hand, keeps what it needs and pushes back the rest; rents that miss wait for it. False: no region.</summary>
    private bool TryPopAlone(int count, out int first)
    {
        first = BlockStack.None;
        WaitForResize();
        try
        {
            if (_region is null)
            {
                return false;
            }

            Interlocked.Increment(ref _phase);
            first = KeepFirst(_free.PopAll(), count);
            Interlocked.Increment(ref _phase);
            return true;
        }
        finally
        {
            _resize.Release();
        }
    }

    private int KeepFirst(int chain, int count)
    {
        if (chain == BlockStack.None)
        {
            return BlockStack.None;
        }

        var length = 1;
        var last = chain;
        for (; length < count && _free.Next(last) != BlockStack.None; length++)
        {
            last = _free.Next(last);
        }

        var rest = length < count ? chain : _free.Next(last);
        if (rest != BlockStack.None)
        {
            var end = rest;
            while (_free.Next(end) != BlockStack.None)
            {
                end = _free.Next(end);
            }

            _free.Push(rest, end);
        }

        return length < count ? BlockStack.None : chain;
    }
}
