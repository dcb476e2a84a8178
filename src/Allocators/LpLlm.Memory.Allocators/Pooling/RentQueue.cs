namespace LpLlm.Memory.Pooling;

/// <summary>
/// Rents that wait for room: by priority, then first come, first served; each with a deadline and a token. The one in front is served
/// first even when a later one would fit, so that a large rent is not starved by small ones.
/// </summary>
/// <remarks>
/// Thread-safe. One thread at a time serves, and it calls <c>tryTake</c> outside of every lock, so that taking may be arbitrarily slow;
/// a call of <see cref="Serve"/> that finds another thread serving leaves the work to it.
/// </remarks>
/// <param name="time">Clock of the deadlines.</param>
/// <param name="tryTake">Takes memory for a request, or answers null when there is no room. Must not throw for lack of room.</param>
internal sealed class RentQueue(TimeProvider time, Func<RentRequest, PinnedLease?> tryTake)
{
    /// <summary>How often one caller looks again for others, before it leaves that to the thread pool.</summary>
    private const int RoundsPerThread = 16;

    private readonly Lock _gate = new();

    // High, normal, low.
    private readonly LinkedList<RentWaiter>[] _waiters = [[], [], []];
    private int _count;
    private int _serveCalls;
    private Exception? _closed;

    /// <summary>Rents that wait now. A pool that frees memory reads this after the memory can be taken, then calls <see cref="Serve"/>.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Waits for room. The first attempt to serve is made here, so memory that came free meanwhile is not missed.</summary>
    /// <exception cref="TimeoutException">The time is over.</exception>
    public async Task<PinnedLease> WaitAsync(RentRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var waiter = new RentWaiter(request);
        lock (_gate)
        {
            if (_closed is not null)
            {
                throw _closed;
            }

            _waiters[1 - (int)request.Priority].AddLast(waiter.Place);
            Interlocked.Increment(ref _count);
        }

        if (timeout == TimeSpan.Zero)
        {
            Serve();
            Withdraw(waiter, new TimeoutException());
            return await waiter.Task.ConfigureAwait(false);
        }

        // Before serving: this thread may have to serve others too.
        var cancellation = cancellationToken.UnsafeRegister(
            (state, token) => Withdraw((RentWaiter)state!, new OperationCanceledException(token)), waiter);
        using var deadline = time.CreateTimer(
            state => Withdraw((RentWaiter)state!, new TimeoutException()), waiter, timeout, Timeout.InfiniteTimeSpan);
        try
        {
            Serve();
            return await waiter.Task.ConfigureAwait(false);
        }
        finally
        {
            cancellation.Unregister(); // Dispose would wait for a callback that serves others
        }
    }

    /// <summary>Serves waiters from the front for as long as there is room.</summary>
    public void Serve()
    {
        // Calls that come while one serves are counted, and make it look once more: no wake-up is lost.
        if (Interlocked.Increment(ref _serveCalls) == 1)
        {
            ServeInRounds();
        }
    }

    /// <summary>Fails every waiter, and every later one.</summary>
    public void Close(Exception failure)
    {
        List<RentWaiter> abandoned;
        lock (_gate)
        {
            _closed = failure;
            var all = _waiters.SelectMany(list => list).ToLookup(waiter => waiter.IsBeingServed);
            foreach (var waiter in all[true])
            {
                waiter.Withdrawal = failure;
            }

            abandoned = [.. all[false]];
            abandoned.ForEach(RemoveUnsynchronized);
        }

        abandoned.ForEach(waiter => waiter.TrySetException(failure));
    }

    private void ServeInRounds()
    {
        for (var round = 0; round < RoundsPerThread; round++)
        {
            var seen = Volatile.Read(ref _serveCalls);
            while (TakeFirst() is { } waiter && TryServe(waiter))
            {
            }

            if (Interlocked.Add(ref _serveCalls, -seen) == 0)
            {
                return;
            }
        }

        // Others keep returning memory that the one in front cannot use: that must not hold this caller for ever.
        ThreadPool.UnsafeQueueUserWorkItem(static queue => queue.ServeInRounds(), this, preferLocal: false);
    }

    /// <summary>The waiter in front, marked as being served: from here on it gets its answer from the one who serves it.</summary>
    private RentWaiter? TakeFirst()
    {
        if (Count == 0)
        {
            return null;
        }

        lock (_gate)
        {
            var waiter = (_waiters[0].First ?? _waiters[1].First ?? _waiters[2].First)?.Value;
            if (waiter is not null)
            {
                waiter.IsBeingServed = true;
            }

            return waiter;
        }
    }

    private bool TryServe(RentWaiter waiter)
    {
        PinnedLease? lease = null;
        Exception? failure = null;
        try
        {
            lease = tryTake(waiter.Request);
        }
        catch (Exception thrown) // the pool does not work: that is this waiter's answer, not the answer of whoever returned a lease
        {
            failure = thrown;
        }

        lock (_gate)
        {
            waiter.IsBeingServed = false;
            failure ??= waiter.Withdrawal;
            if (lease is null && failure is null)
            {
                return false;
            }

            RemoveUnsynchronized(waiter);
        }

        // A lease that was had is handed over even when the waiter gave up meanwhile: else it would be nobody's for an instant, and a rent
        // of that instant would fail falsely.
        if (lease is not null)
        {
            waiter.TrySetResult(lease);
        }
        else
        {
            Fail(waiter, failure!);
        }

        return true;
    }

    private static void Fail(RentWaiter waiter, Exception failure)
    {
        if (failure is OperationCanceledException canceled)
        {
            waiter.TrySetCanceled(canceled.CancellationToken);
        }
        else
        {
            waiter.TrySetException(failure);
        }
    }

    private void RemoveUnsynchronized(RentWaiter waiter)
    {
        waiter.Place.List!.Remove(waiter.Place);
        Interlocked.Decrement(ref _count);
    }

    /// <summary>A waiter's way out, by its deadline or its token; does nothing if it was served before.</summary>
    private void Withdraw(RentWaiter waiter, Exception failure)
    {
        lock (_gate)
        {
            if (waiter.Place.List is null)
            {
                return;
            }

            if (waiter.IsBeingServed)
            {
                waiter.Withdrawal ??= failure;
                return;
            }

            RemoveUnsynchronized(waiter);
        }

        Fail(waiter, failure);
        Serve(); // the next in line may be smaller
    }
}
