namespace LpLlm.Memory.Pooling;

/// <summary>What a rent does that finds no room at once: it looks everywhere, grows the pool, and waits.</summary>
internal partial class PinnedPool
{
    private int _growsForWaiters;

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<PinnedLease>(cancellationToken);
        }

        // While others wait the caches are closed, so nobody gets past the queue there.
        var lease = TakeCached(request.LengthBytes, request.AlignmentBytes)
            ?? (_queue.Count == 0 ? Take(request.LengthBytes, request.AlignmentBytes, out _) : null);
        return lease is not null ? new ValueTask<PinnedLease>(lease) : new ValueTask<PinnedLease>(RentSlowlyAsync(request, cancellationToken));
    }

    /// <summary>
    /// The slow way of a rent that must not wait for leases. Growing is a system call or a server's answer, and takes the caller's thread.
    /// </summary>
    /// <param name="lengthBytes">As checked.</param>
    /// <param name="alignmentBytes">As checked.</param>
    /// <param name="refusal">Why the pool could not grow, if that is why there is no room.</param>
    private PinnedLease? RentSlowly(long lengthBytes, int alignmentBytes, out MemorySourceException? refusal)
    {
        var request = new RentRequest(lengthBytes) { AlignmentBytes = alignmentBytes };
        var growth = GrowAndTakeAsync(request, behindWaiters: false, CancellationToken.None).GetAwaiter().GetResult();
        refusal = growth.Refusal;
        var lease = growth.Lease ?? (MayRetire(lengthBytes) ? WaitForFences(request) : null);
        if (lease is null)
        {
            Interlocked.Increment(ref _failedRents);
        }

        return lease;
    }

    private async Task<PinnedLease> RentSlowlyAsync(RentRequest request, CancellationToken cancellationToken)
    {
        var growth = await GrowAndTakeAsync(request, behindWaiters: true, cancellationToken).ConfigureAwait(false);
        if (growth.Lease is not null)
        {
            return growth.Lease;
        }

        if (request.LengthBytes > _settings.SlabBytes || (growth.Refusal is not null && IsIdle()))
        {
            // Waiting would not help: the block is too long, or nothing is out that could come back.
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(request.LengthBytes, waited: null, growth.Refusal);
        }

        var started = _time.GetTimestamp();
        try
        {
            return await WaitAsync(request, request.Timeout ?? _settings.RentTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(request.LengthBytes, _time.GetElapsedTime(started), growth.Refusal);
        }
    }

    /// <summary>
    /// What the queue takes with. A waiter's slab may have been given back just before it began to wait: then the pool grows again, in
    /// the background, and the new slab serves the queue.
    /// </summary>
    private PinnedLease? TakeForWaiter(RentRequest request)
    {
        var lease = Take(request.LengthBytes, request.AlignmentBytes, out var mayGrow);
        if (lease is null && mayGrow)
        {
            if (_outages.Fresh is { } outage)
            {
                throw outage; // as a rent that comes now would be answered: who waits for memory that nobody holds would wait for ever
            }

            if (_refusals.Fresh is null && Interlocked.Exchange(ref _growsForWaiters, 1) == 0)
            {
                _ = GrowForWaitersAsync(request);
            }
        }

        return lease;
    }

    private async Task GrowForWaitersAsync(RentRequest request)
    {
        try
        {
            await Task.Yield(); // the caller serves the queue, perhaps in a lease's Dispose
            (await GrowAsync(request, CancellationToken.None).ConfigureAwait(false))?.Dispose();
        }
        catch (MemorySourceException refusal)
        {
            AllocatorsLog.GrowthRefused(_logger, refusal, Name, request.LengthBytes);
        }
        catch (PoolTransportException outage)
        {
            AllocatorsLog.GrowthRefused(_logger, outage, Name, request.LengthBytes);
            _outages.Remember(outage);
        }
        catch (ObjectDisposedException)
        {
            // The waiters are told so by the queue.
        }
        finally
        {
            Volatile.Write(ref _growsForWaiters, 0);
        }

        if (_outages.Fresh is not null)
        {
            _queue.Serve(); // the one in front is answered with it, unless it can be served after all
        }
    }

    private PinnedLease? WaitForFences(in RentRequest request)
    {
        try
        {
            return WaitAsync(request, _settings.FenceTimeout, CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    /// <summary>Waits in the queue. The caches stay closed meanwhile, so that every return reaches it.</summary>
    private async Task<PinnedLease> WaitAsync(RentRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        CloseCaches();
        try
        {
            return await _queue.WaitAsync(request, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            OpenCaches();
        }
    }

    /// <summary>
    /// Takes from all the memory there is: completed fences are swept and the caches emptied first. If this fails, there was one instant
    /// at which nothing free could hold the request.
    /// </summary>
    private PinnedLease? TakeFromAll(in RentRequest request, out bool mayGrow)
    {
        if (Volatile.Read(ref _pendingLeases) > 0)
        {
            _fenced.Sweep();
        }

        CloseCaches();
        try
        {
            return Take(request.LengthBytes, request.AlignmentBytes, out mayGrow);
        }
        finally
        {
            OpenCaches();
        }
    }

    private bool MayRetire(long lengthBytes)
    {
        _gate.Enter();
        try
        {
            return _pending > _stranded
                && _settings.FenceTimeout > TimeSpan.Zero
                && lengthBytes <= Math.Min(_settings.SlabBytes, _settings.CapacityBytes - _used - _stranded - _quarantined);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private bool IsIdle()
    {
        _gate.Enter();
        try
        {
            return _live + _pendingLeases == 0;
        }
        finally
        {
            _gate.Exit();
        }
    }
}
