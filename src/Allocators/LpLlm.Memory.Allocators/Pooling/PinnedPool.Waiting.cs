namespace LpLlm.Memory.Pooling;

/// <summary>Asynchronous rents: they wait in the queue, with a deadline.</summary>
internal sealed partial class PinnedPool
{
    private readonly RentQueue _queue;

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default)
    {
        RentArguments.Check(request);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<PinnedLease>(cancellationToken);
        }

        var mayGrow = true;
        return _queue.Count == 0 && Take(request.LengthBytes, request.AlignmentBytes, out mayGrow) is { } lease
            ? new ValueTask<PinnedLease>(lease)
            : new ValueTask<PinnedLease>(RentSlowlyAsync(request, mayGrow, cancellationToken));
    }

    private async Task<PinnedLease> RentSlowlyAsync(RentRequest request, bool mayGrow, CancellationToken cancellationToken)
    {
        if (request.LengthBytes > _settings.SlabBytes)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(request.LengthBytes, waited: null);
        }

        if (mayGrow && await GrowAndTakeAsync(request.LengthBytes, request.AlignmentBytes, behindWaiters: true, cancellationToken)
                .ConfigureAwait(false) is { } lease)
        {
            return lease;
        }

        var started = _time.GetTimestamp();
        try
        {
            return await _queue.WaitAsync(request, request.Timeout ?? _settings.RentTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Interlocked.Increment(ref _failedRents);
            throw Exhausted(request.LengthBytes, _time.GetElapsedTime(started));
        }
    }
}
