namespace LpLlm.Memory.Pooling;

/// <summary>Asynchronous rents that wait: first come, first served, cancellable, with the pool's deadline.</summary>
internal sealed partial class PinnedPool
{
    private readonly LinkedList<RentWaiter> _waiters = [];

    public ValueTask<PinnedLease> RentAsync(
        long lengthBytes, int alignmentBytes = 256, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<PinnedLease>(cancellationToken);
        }

        var lease = Take(lengthBytes, alignmentBytes, behindWaiters: true, out var mayGrow);
        return lease is not null
            ? new ValueTask<PinnedLease>(lease)
            : new ValueTask<PinnedLease>(RentSlowlyAsync(lengthBytes, alignmentBytes, mayGrow, cancellationToken));
    }

    private async Task<PinnedLease> RentSlowlyAsync(
        long lengthBytes, int alignmentBytes, bool mayGrow, CancellationToken cancellationToken)
    {
        if (lengthBytes > _settings.SlabBytes)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(lengthBytes, waited: null);
        }

        if (mayGrow && await GrowAndTakeAsync(lengthBytes, alignmentBytes, behindWaiters: true, cancellationToken)
                .ConfigureAwait(false) is { } lease)
        {
            return lease;
        }

        var waiter = new RentWaiter(lengthBytes, alignmentBytes);
        if (Enqueue(waiter) is { } freedMeanwhile)
        {
            return freedMeanwhile;
        }

        var started = _time.GetTimestamp();
        waiter.Watch(
            cancellationToken.UnsafeRegister(
                (state, token) => Withdraw((RentWaiter)state!, new OperationCanceledException(token)), waiter),
            _time.CreateTimer(
                state => Withdraw((RentWaiter)state!, failure: null), waiter, _settings.RentTimeout, Timeout.InfiniteTimeSpan));
        try
        {
            return await waiter.Task.ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(lengthBytes, _time.GetElapsedTime(started));
        }
        finally
        {
            waiter.Unwatch();
        }
    }

    /// <summary>Queues the waiter, unless memory came free since it was last looked for.</summary>
    private PinnedLease? Enqueue(RentWaiter waiter)
    {
        _gate.Enter();
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_waiters.Count == 0 && TakeUnsynchronized(waiter.LengthBytes, waiter.AlignmentBytes, out var slab, out var block))
            {
                return slab.Lease(block, waiter.LengthBytes);
            }

            _waiters.AddLast(waiter.Place);
            return null;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Takes a waiter out of the queue and fails it; does nothing if memory was handed over before.</summary>
    private void Withdraw(RentWaiter waiter, OperationCanceledException? failure)
    {
        List<RentWaiter>? served;
        _gate.Enter();
        try
        {
            if (waiter.Place.List is null)
            {
                return;
            }

            _waiters.Remove(waiter.Place);
            // The next in line may be smaller.
            served = ServeWaitersUnsynchronized();
        }
        finally
        {
            _gate.Exit();
        }

        if (failure is not null)
        {
            waiter.TrySetCanceled(failure.CancellationToken);
        }
        else
        {
            waiter.TrySetException(new TimeoutException());
        }

        Complete(served);
    }

    private List<RentWaiter>? ServeWaitersUnsynchronized()
    {
        List<RentWaiter>? served = null;
        while (_waiters.First?.Value is { } waiter
            && TakeUnsynchronized(waiter.LengthBytes, waiter.AlignmentBytes, out var slab, out var block))
        {
            _waiters.RemoveFirst();
            waiter.Served = slab.Lease(block, waiter.LengthBytes);
            (served ??= []).Add(waiter);
        }

        return served;
    }

    /// <summary>Completes served waiters, outside the gate.</summary>
    private static void Complete(List<RentWaiter>? served)
    {
        if (served is null)
        {
            return;
        }

        foreach (var waiter in served)
        {
            waiter.TrySetResult(waiter.Served!);
        }
    }
}
