namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Events on their way to one reader. Bounded without loss: trims melt into one, and every other event is sent once for each lease that the
/// session holds. Guarded by the engine's lock.
/// </summary>
internal sealed class SessionWatch
{
    private List<PoolEvent> _pending = [];
    private TaskCompletionSource _wake = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool HasEnded { get; private set; }

    /// <summary>Completes when there is something to take.</summary>
    public Task Ready => _wake.Task;

    public void Post(PoolEvent message, Deferred after)
    {
        if (message is PoolEvent.Trim)
        {
            _pending.RemoveAll(static pending => pending is PoolEvent.Trim);
        }

        _pending.Add(message);
        Wake(after);
    }

    /// <summary>The session has let go of the lease: what it was to be told of it is void. Else a client that never reads could fill the server.</summary>
    public void Forget(ulong leaseId) => _pending.RemoveAll(pending => pending is PoolEvent.Revoked revoked && revoked.LeaseId == leaseId);

    public void End(Deferred after)
    {
        HasEnded = true;
        Wake(after);
    }

    public List<PoolEvent> Take()
    {
        var taken = _pending;
        _pending = [];
        if (!HasEnded && _wake.Task.IsCompleted)
        {
            _wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return taken;
    }

    private void Wake(Deferred after)
    {
        var wake = _wake;
        after.Add(() => wake.TrySetResult());
    }
}
