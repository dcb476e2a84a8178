namespace LpLlm.Memory.Pooling;

/// <summary>
/// Rents that the calling thread's cache does not serve. Before one fails, every cache is closed and emptied, so that the answer is exact: at one
/// instant no block was free. While rents wait the caches stay closed, so that what is returned reaches them.
/// </summary>
internal sealed partial class FixedBlockPool
{
    private readonly RentQueue _queue;

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<PinnedLease>(cancellationToken);
        }

        return _queue.Count == 0
            && Fits(request.LengthBytes, request.AlignmentBytes)
            && (TryTakeCached(request.LengthBytes, request.AlignmentBytes, out var lease) || (lease = TakeShared(request.LengthBytes)) is not null)
            ? new ValueTask<PinnedLease>(lease)
            : new ValueTask<PinnedLease>(RentSlowlyAsync(request, cancellationToken));
    }

    private async Task<PinnedLease> RentSlowlyAsync(RentRequest request, CancellationToken cancellationToken)
    {
        if (!Fits(request.LengthBytes, request.AlignmentBytes))
        {
            _accounts.CountFailed();
            throw Exhausted(request.LengthBytes, request.AlignmentBytes, waited: null, refusal: null);
        }

        var started = _time.GetTimestamp();
        try
        {
            PinnedLease? lease = null;
            while (_queue.Count == 0 && !TryTakeAnywhere(request.LengthBytes, out lease))
            {
                await OpenRegionAsync(progress: null, cancellationToken).ConfigureAwait(false);
            }

            if (lease is not null)
            {
                return lease;
            }

            _fenced.Sweep();
            return await WaitAsync(request, request.Timeout ?? _settings.RentTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _accounts.CountFailed();
            throw Exhausted(request.LengthBytes, request.AlignmentBytes, _time.GetElapsedTime(started), refusal: null);
        }
        catch (MemorySourceException refusal)
        {
            _accounts.CountFailed();
            throw Exhausted(request.LengthBytes, request.AlignmentBytes, waited: null, refusal);
        }
    }

    /// <summary>Null when there is no room; then <paramref name="refusal"/> says what the source said, if it was asked.</summary>
    private PinnedLease? RentSlowly(long lengthBytes, int alignmentBytes, out MemorySourceException? refusal)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        refusal = null;
        PinnedLease? lease = null;
        try
        {
            if (Fits(lengthBytes, alignmentBytes))
            {
                lease = TakeShared(lengthBytes) ?? TakeOrWaitForFences(lengthBytes);
            }
        }
        catch (MemorySourceException failure)
        {
            refusal = failure;
        }

        if (lease is null)
        {
            _accounts.CountFailed();
        }

        return lease;
    }

    private PinnedLease? TakeOrWaitForFences(long lengthBytes)
    {
        var lease = TakeAnywhere(lengthBytes);
        if (lease is null && _accounts.CanRetire)
        {
            _fenced.Sweep();
            lease = TakeAnywhere(lengthBytes);
        }

        if (lease is not null || !_accounts.CanRetire || _settings.FenceTimeout == TimeSpan.Zero)
        {
            return lease;
        }

        try
        {
            return WaitAsync(new RentRequest(lengthBytes), _settings.FenceTimeout, CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (TimeoutException)
        {
            return null; // no fence completed in time: no room
        }
    }

    private async Task<PinnedLease> WaitAsync(RentRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        _caches.Close();
        try
        {
            _caches.Drain();
            return await _queue.WaitAsync(request, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _caches.Open();
        }
    }

    private PinnedLease? TakeForWaiter(RentRequest request) => TakeAnywhere(request.LengthBytes);

    /// <summary>Null when at one instant no block was free. Takes the region from the source if there is none.</summary>
    private PinnedLease? TakeAnywhere(long lengthBytes)
    {
        PinnedLease? lease;
        while (!TryTakeAnywhere(lengthBytes, out lease))
        {
            // Taking a region is a system call either way; a caller that must not block uses RentAsync.
            OpenRegionAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        }

        return lease;
    }

    /// <summary>False when there is no region, or somebody had all blocks in hand meanwhile: nothing is known then.</summary>
    private bool TryTakeAnywhere(long lengthBytes, out PinnedLease? lease)
    {
        var phase = Volatile.Read(ref _phase);
        lease = TakeShared(lengthBytes);
        if (lease is not null || IsShut(phase))
        {
            return lease is not null;
        }

        _caches.Close();
        try
        {
            _caches.Drain();
            lease = TakeShared(lengthBytes);
        }
        finally
        {
            _caches.Open();
        }

        return lease is not null || Volatile.Read(ref _phase) == phase;
    }

    /// <summary>Takes a block from the stack, past the caches.</summary>
    private PinnedLease? TakeShared(long lengthBytes)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (lengthBytes > _blockBytes || !_free.TryPop(out var number))
        {
            return null;
        }

        _accounts.CountTaken(1);
        _accounts.Add(rents: 1, returns: 0);
        return Lease(number, lengthBytes);
    }

    private bool Fits(long lengthBytes, int alignmentBytes)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return lengthBytes <= _blockBytes && alignmentBytes <= _alignmentBytes;
    }

    private PinnedMemoryExhaustedException Exhausted(
        long lengthBytes, int alignmentBytes, TimeSpan? waited, MemorySourceException? refusal)
    {
        var snapshot = GetSnapshot();
        var largest = alignmentBytes > _alignmentBytes ? 0 : _blockBytes; // at this alignment
        var (cause, limit) = lengthBytes > _blockBytes ? (ExhaustionCause.Limit, nameof(BlockBytes))
            : alignmentBytes > _alignmentBytes ? (ExhaustionCause.Limit, nameof(FixedBlockPinnedPoolOptions.BlockAlignmentBytes))
            : refusal is not null ? (ExhaustionCause.NoMemory, nameof(Blocks))
            : snapshot.PendingBytes > 0 ? (ExhaustionCause.Pending, nameof(Blocks))
            : (ExhaustionCause.Limit, nameof(Blocks));
        return new PinnedMemoryExhaustedException(Name, cause, lengthBytes, largest, snapshot, waited, limit, refusal);
    }
}
