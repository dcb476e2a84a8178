using System.Diagnostics.CodeAnalysis;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Wrappers;

/// <summary>A budget of bytes around a pool; <see cref="ByteBudget"/> says what it guarantees.</summary>
/// <remarks>
/// An asynchronous rent waits in this pool's queue for the budget, then in the inner pool's for room, under one deadline. In the latter it
/// holds its part of the budget, which asynchronous rents behind it wait for as they would for their turn. One of higher priority, or
/// a synchronous rent that only this stands in the way of, makes it yield: it gives its part back and stands in line again, where it
/// stays until those of higher priority stand in the pool's line or have ended. A rent whose time is over before it begins (a timeout
/// of 0), or that ends while it yields, does as a synchronous one: it waits for outcomes, not for its turn, and yields to nobody.
/// A lease's bytes are released after the inner pool has them back, so waiters find no budget free while the pool is still full. Behind
/// a fence each of the two learns of its completion by itself: then the budget may be free a moment before the pool is, and a rent
/// that cannot wait is refused by the pool.
/// </remarks>
internal sealed class LimitedPool : DelegatingPool
{
    private readonly LimitOptions _options;
    private readonly TimeProvider _time;
    private readonly ByteBudget _budget;
    private readonly RentQueue _queue;
    private readonly FencedReturns<long> _fenced;
    private readonly Returns _returns;
    private readonly BudgetTickets _tickets;
    private readonly YieldSignals _yields;
    private long _failedRents;
    private volatile bool _disposed;

    public LimitedPool(IPinnedMemoryPool inner, LimitOptions options, ILogger logger, TimeProvider? time = null)
        : base(inner)
    {
        OptionErrors.ThrowIfAny(inner.Name, options.Validate, nameof(options));
        _options = options;
        _time = time ?? TimeProvider.System;
        var watermark = options.WatermarkBytes is { } bytes ? new Watermark(Name, options, bytes, logger) : null;
        _yields = new YieldSignals(ServeWaiters);
        _budget = new ByteBudget(options.LimitBytes, watermark, ServeWaiters, _yields.CallOutAll);
        _tickets = new BudgetTickets(inner, _budget);
        _queue = new RentQueue(_time, TryReserveInTurn);
        _fenced = new FencedReturns<long>(
            _budget.ReleaseSuspended,
            (lengthBytes, failure) => AllocatorsLog.LimitFenceFailed(logger, failure, Name, lengthBytes));
        _returns = new Returns(this);
    }

    public override PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        if (!Reserve(lengthBytes, alignmentBytes))
        {
            throw Exhausted(lengthBytes, waited: null);
        }

        PinnedLease? lease = null;
        try
        {
            return lease = Inner.Rent(lengthBytes, alignmentBytes);
        }
        finally
        {
            Settle(lengthBytes, lease);
        }
    }

    public override bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        lease = null;
        if (!Reserve(lengthBytes, alignmentBytes))
        {
            return false;
        }

        try
        {
            return Inner.TryRent(lengthBytes, out lease, alignmentBytes);
        }
        finally
        {
            Settle(lengthBytes, lease);
        }
    }

    public override ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        ObjectDisposedException.ThrowIf(_disposed, this);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<PinnedLease>(cancellationToken)
            : RentInTurnAsync(request, cancellationToken);
    }

    /// <summary>The inner pool's accounts, bounded by the limit. Used and pending bytes are counted as rented, without rounding.</summary>
    public override PoolSnapshot GetSnapshot()
    {
        var snapshot = Inner.GetSnapshot();
        var (live, pending, peak) = _budget.Read();
        var capacity = Math.Min(snapshot.CapacityBytes, _options.LimitBytes);

        // What the pool can no longer use is this limit's loss only where the rest of the pool is smaller than the limit.
        var quarantined = Math.Max(0, capacity - (snapshot.CapacityBytes - snapshot.QuarantinedBytes));
        var usable = capacity - quarantined;

        // The two accounts are from instants a few rents apart; the bounds keep their sum whole.
        var used = Math.Min(live, usable);
        pending = Math.Min(pending, usable - used);
        return snapshot with
        {
            CapacityBytes = capacity,
            UsedBytes = used,
            PendingBytes = pending,
            CachedBytes = Math.Min(snapshot.CachedBytes, usable - used - pending),
            QuarantinedBytes = quarantined,
            LargestFreeBytes = Math.Min(snapshot.LargestFreeBytes, usable - used - pending),
            PeakUsedBytes = peak,
            WaitingRents = snapshot.WaitingRents + _queue.Count,
            FailedRents = snapshot.FailedRents + Volatile.Read(ref _failedRents),
        };
    }

    public override void Dispose()
    {
        Close();
        base.Dispose();
    }

    public override ValueTask DisposeAsync()
    {
        Close();
        return base.DisposeAsync();
    }

    private bool Reserve(long lengthBytes, int alignmentBytes)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_budget.Reserve(lengthBytes) || ReserveBehindFences(lengthBytes))
        {
            return true;
        }

        Interlocked.Increment(ref _failedRents);
        return false;
    }

    /// <summary>Waits for device work, in line with the asynchronous rents, where nothing else stands in the way.</summary>
    private bool ReserveBehindFences(long lengthBytes)
    {
        var (live, pending, _) = _budget.Read();
        if (pending == 0 || lengthBytes > _options.LimitBytes - live)
        {
            return false;
        }

        _fenced.Sweep();
        try
        {
            _queue.WaitAsync(new RentRequest(lengthBytes), _options.FenceTimeout, CancellationToken.None).GetAwaiter().GetResult();
            return true;
        }
        catch (TimeoutException)
        {
            return _budget.Reserve(lengthBytes); // its turn may not have come, but what fits is not refused
        }
    }

    /// <summary>Not while it would have to come back: who is refused here keeps its place in the line, and is asked again.</summary>
    private PinnedLease? TryReserveInTurn(RentRequest request) =>
        !_yields.IsHigherOutside(request.Priority) && _budget.TryReserve(request.LengthBytes)
            ? _tickets.Create(request.LengthBytes)
            : null;

    private async ValueTask<PinnedLease> RentInTurnAsync(RentRequest request, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var timeout = request.Timeout ?? _options.RentTimeout;
        var reserved = _queue.Count == 0 && _budget.TryReserve(request.LengthBytes);
        var yielded = false;
        _yields.Begin(request.Priority);
        try
        {
            while (true)
            {
                if (!reserved)
                {
                    await WaitForBudgetAsync(request, started, timeout, yielded, cancellationToken).ConfigureAwait(false);
                }

                var rest = request with { Timeout = Remaining(started, timeout) };
                if (await RentInsideAsync(rest, cancellationToken).ConfigureAwait(false) is { } lease)
                {
                    return lease;
                }

                reserved = false; // the deadline goes on
                yielded = true;
                await Task.Yield(); // not on the thread of whoever called it out
            }
        }
        finally
        {
            _yields.End(request.Priority);
        }
    }

    private async ValueTask<PinnedLease?> RentInsideAsync(RentRequest request, CancellationToken cancellationToken)
    {
        var yield = _yields.TokenFor(request.Priority);
        var renting = RentFromInnerAsync(request, yield, cancellationToken); // stands in the pool's line when this returns
        var isInside = _yields.TryGoInside(request.Priority, yield);
        try
        {
            return await renting.ConfigureAwait(false);
        }
        finally
        {
            if (isInside)
            {
                _yields.ComeOut(request.Priority, yield);
            }
        }
    }

    private async Task WaitForBudgetAsync(
        RentRequest request, long started, TimeSpan timeout, bool yielded, CancellationToken cancellationToken)
    {
        TimeSpan? waited = null;
        if (request.LengthBytes <= _options.LimitBytes)
        {
            _yields.CallOutBelow(request.Priority);
            var rest = Remaining(started, timeout);
            if ((rest > TimeSpan.Zero && await TryWaitForTurnAsync(request, rest, cancellationToken).ConfigureAwait(false))
                || ((yielded || rest == TimeSpan.Zero)
                    && await _budget.ReserveAsync(request.LengthBytes, cancellationToken).ConfigureAwait(false)))
            {
                return;
            }

            waited = _time.GetElapsedTime(started);
        }

        Interlocked.Increment(ref _failedRents);
        throw Exhausted(request.LengthBytes, waited);
    }

    private async Task<bool> TryWaitForTurnAsync(RentRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await _queue.WaitAsync(request, timeout, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Rents what is reserved; null when it had to yield, and nothing is reserved any more.</summary>
    private async ValueTask<PinnedLease?> RentFromInnerAsync(
        RentRequest request, CancellationToken yield, CancellationToken cancellationToken)
    {
        PinnedLease? lease = null;
        try
        {
            if (request.Timeout == TimeSpan.Zero)
            {
                return lease = await Inner.RentAsync(request, cancellationToken).ConfigureAwait(false); // ends by itself
            }

            if (_budget.HasUndecided || _yields.IsHigherOutside(request.Priority))
            {
                return null;
            }

            using var either = cancellationToken.CanBeCanceled
                ? CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, yield)
                : null;
            try
            {
                return lease = await Inner.RentAsync(request, either?.Token ?? yield).ConfigureAwait(false);
            }
            catch (OperationCanceledException canceled) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException(canceled.Message, canceled, cancellationToken);
            }
            catch (OperationCanceledException) when (yield.IsCancellationRequested)
            {
                return null;
            }
        }
        finally
        {
            Settle(request.LengthBytes, lease);
        }
    }

    /// <summary>What the inner pool answered to a reservation: committed with a lease, cancelled without.</summary>
    private void Settle(long lengthBytes, PinnedLease? lease)
    {
        if (lease is null)
        {
            _budget.Cancel(lengthBytes);
            return;
        }

        _returns.Watch(lease);
        _budget.Commit(lengthBytes);
    }

    private TimeSpan Remaining(long started, TimeSpan timeout)
    {
        var rest = timeout - _time.GetElapsedTime(started);
        return rest > TimeSpan.Zero ? rest : TimeSpan.Zero;
    }

    private void ServeWaiters()
    {
        if (_queue.Count > 0)
        {
            _queue.Serve();
        }
    }

    private void Close()
    {
        _disposed = true;
        _queue.Close(new ObjectDisposedException(nameof(LimitedPool), $"Pool '{Name}' was disposed while a rent waited."));
    }

    private PinnedMemoryExhaustedException Exhausted(long lengthBytes, TimeSpan? waited)
    {
        var snapshot = GetSnapshot();
        var cause = lengthBytes <= _options.LimitBytes - snapshot.UsedBytes && snapshot.PendingBytes > 0
            ? ExhaustionCause.Pending
            : ExhaustionCause.Limit;
        return new PinnedMemoryExhaustedException(
            Name, cause, lengthBytes, _options.LimitBytes, snapshot, waited, nameof(LimitOptions.LimitBytes));
    }

    /// <summary>Sees the returns of this pool's leases.</summary>
    private sealed class Returns(LimitedPool pool) : ReturnHandler
    {
        protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence)
        {
            owner.TakeBack(block, fence);
            if (fence is null || fence.IsCompleted)
            {
                pool._budget.Release(block.LengthBytes);
                return;
            }

            pool._budget.Suspend(block.LengthBytes);
            pool._fenced.Add(block.LengthBytes, fence);
        }
    }
}
