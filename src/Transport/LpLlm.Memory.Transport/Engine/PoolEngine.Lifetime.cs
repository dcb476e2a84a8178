namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // As long as a listener takes to close its connections.
    private static readonly TimeSpan DisposalPatience = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _quiescent = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _lifetime = new();
    private TimeSpan? _drainGrace;
    private bool _isDisposed;
    private int _operations;

    /// <summary>Tells all clients that the server stops, refuses new requests, and ends waiting ones with <see cref="PoolFaultCode.Unavailable"/>.</summary>
    public void Drain(TimeSpan grace) => Change(after =>
    {
        if (_drainGrace is null && !_isDisposed)
        {
            DrainUnsynchronized(grace, after);
        }
    });

    /// <summary>Lets go of all memory. What clients have mapped stays theirs.</summary>
    public async ValueTask DisposeAsync()
    {
        Change(after =>
        {
            if (_isDisposed)
            {
                return;
            }

            DrainUnsynchronized(TimeSpan.Zero, after);
            _isDisposed = true;
            after.Add(_lifetime.Cancel);
            foreach (var session in _sessions.Values)
            {
                session.HasEnded = true;
                EndWatchUnsynchronized(session, after);
                after.Add(session.Over.Cancel);
            }

            _sessions.Clear();
            foreach (var slot in _inventory.Slots.Where(slot => slot.State is not (SlotState.Clearing or SlotState.Discarding)).ToList())
            {
                SettleUnsynchronized(slot, after);
            }

            _operations++;
            EndOperationUnsynchronized(after);
        });
        try
        {
            await _quiescent.Task.WaitAsync(DisposalPatience, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            TransportLog.DisposalTimedOut(_logger, Change(_ => _operations));
        }

        await _timer.DisposeAsync().ConfigureAwait(false);
    }

    private void DrainUnsynchronized(TimeSpan grace, Deferred after)
    {
        _drainGrace = grace;
        foreach (var session in _sessions.Values)
        {
            foreach (var request in session.Requests.Values.Where(request => request.State != RequestState.Granted).ToList())
            {
                EndRequestUnsynchronized(request, EngineFaults.Stopping(), after);
            }

            session.Watch?.Post(new PoolEvent.Shutdown(grace), after);
        }
    }

    private void RefuseIfStoppingUnsynchronized()
    {
        if (_drainGrace is not null)
        {
            throw EngineFaults.Stopping();
        }
    }

    private void EndOperationUnsynchronized(Deferred after)
    {
        if (--_operations == 0 && _isDisposed)
        {
            after.Add(() => _quiescent.TrySetResult());
        }
    }
}
