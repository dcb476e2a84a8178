namespace LpLlm.Memory.Pooling;

/// <summary>Asynchronous rents: each member in order first, then all that work at once; the first to answer wins.</summary>
internal sealed partial class HybridPool
{
    private int _waiting;

    public async ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        cancellationToken.ThrowIfCancellationRequested();
        _rundown.Enter();
        PinnedLease? lease = null;
        try
        {
            lease = await TakeAsync(request with { Timeout = TimeSpan.Zero }, cancellationToken).ConfigureAwait(false);
            if (lease is null)
            {
                Interlocked.Increment(ref _waiting);
                try
                {
                    lease = await WaitAsync(request, request.Timeout ?? _settings.RentTimeout, cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    Interlocked.Decrement(ref _waiting);
                }
            }

            return lease;
        }
        finally
        {
            Count(lease);
        }
    }

    /// <summary>As Take, but through the members' asynchronous door: no caller's thread grows a pool, and no queue is jumped.</summary>
    private async ValueTask<PinnedLease?> TakeAsync(RentRequest atOnce, CancellationToken cancellationToken)
    {
        var walk = default(HybridWalk);
        foreach (var hop in _hops)
        {
            if (!hop.Member.MayServe(atOnce.LengthBytes, atOnce.AlignmentBytes))
            {
                continue;
            }

            if (hop.Failure is not null)
            {
                walk.Unavailable(hop);
                continue;
            }

            try
            {
                // The door says no by an exception (20 us); the snapshot says it in some 50 ns, and WaitAsync asks all of them again. Only
                // the door empties caches and looks whether fences have completed.
                if (hop.Pool.GetSnapshot() is var free
                    && (free.LargestFreeBytes >= atOnce.LengthBytes || free.CachedBytes + free.PendingBytes > 0))
                {
                    var lease = await hop.Pool.RentAsync(atOnce, cancellationToken).ConfigureAwait(false);
                    return hop.Serve(lease, walk.PlacementOf(hop));
                }

                walk.Exhausted(hop);
            }
            catch (PinnedMemoryExhaustedException)
            {
                walk.Exhausted(hop);
            }
            catch (PinnedMemoryException failure) when (IsUnavailability(failure))
            {
                MarkUnavailable(hop, failure);
                walk.Unavailable(hop);
                continue;
            }

            if (!_settings.FallBackOnExhaustion)
            {
                break;
            }
        }

        return null;
    }

    /// <summary>Waits on every member that works, and on those that recover meanwhile, until one serves or none is left.</summary>
    private async Task<PinnedLease> WaitAsync(RentRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var cancellation = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        var wait = new HybridWait([.. _hops.Where(hop => hop.Member.MayServe(request.LengthBytes, request.AlignmentBytes))], _settings);
        try
        {
            while (true)
            {
                var recovery = Volatile.Read(ref _recovery).Task; // before looking at who works: no recovery is missed
                var left = timeout - _time.GetElapsedTime(started);
                wait.Start(request with { Timeout = left > TimeSpan.Zero ? left : TimeSpan.Zero }, cancellation.Token);
                if (wait.Count == 0)
                {
                    throw Failure(wait, request.LengthBytes, _time.GetElapsedTime(started));
                }

                await wait.WhenAnyAsync(recovery).ConfigureAwait(false);
                while (wait.TryRemoveCompleted(out var hop, out var task))
                {
                    try
                    {
                        return hop.Serve(await task.ConfigureAwait(false), wait.PlacementOf(hop));
                    }
                    catch (PinnedMemoryExhaustedException reason)
                    {
                        wait.Refused(hop, reason);
                    }
                    catch (PinnedMemoryException failure) when (IsUnavailability(failure))
                    {
                        MarkUnavailable(hop, failure);
                        wait.Failed(hop, failure);
                    }
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new ObjectDisposedException(nameof(HybridPool), $"Pool '{Name}' was disposed while a rent waited.");
        }
        finally
        {
            _ = wait.AbandonAsync(cancellation);
        }
    }

    /// <summary>
    /// What nobody's serving amounts to. A member that works and could serve the request later: no room. None, but one is out of order:
    /// its failure. Otherwise: never.
    /// </summary>
    private Exception Failure(HybridWait wait, long lengthBytes, TimeSpan waited)
    {
        var reasons = wait.Reasons;
        var hopeful = reasons.Where(reason => reason.IsTransient).MaxBy(reason => RankOf(reason.Cause));
        if (hopeful is null && wait.Outage is { } outage)
        {
            return outage;
        }

        Interlocked.Increment(ref _failedRents);
        return new PinnedMemoryExhaustedException(
            Name,
            hopeful?.Cause ?? ExhaustionCause.Limit,
            lengthBytes,
            reasons.Select(reason => reason.LargestBlockBytes).DefaultIfEmpty(0).Max(),
            GetSnapshot(),
            hopeful is null || waited == TimeSpan.Zero ? null : waited,
            "the size classes' Blocks or a chain member's limit",
            hopeful?.InnerException ?? wait.Outage);
    }

    /// <summary>Of several causes the one is told that passes soonest: device work ends by itself, a limit has to be raised.</summary>
    private static int RankOf(ExhaustionCause cause) => cause switch
    {
        ExhaustionCause.Pending => 3,
        ExhaustionCause.Fragmented => 2,
        ExhaustionCause.NoMemory => 1,
        _ => 0,
    };
}
