namespace LpLlm.Memory.Models;

/// <summary>Memory on its way back: whoever found no room asks again when it has arrived. Thread-safe.</summary>
internal sealed class PendingReleases
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _next = New();
    private int _pending;
    private long _completed;

    /// <summary>Releases that have arrived so far.</summary>
    public long Completed => Interlocked.Read(ref _completed);

    public void Begin()
    {
        lock (_gate)
        {
            _pending++;
        }
    }

    public void End()
    {
        TaskCompletionSource arrived;
        lock (_gate)
        {
            _pending--;
            _completed++;
            arrived = _next;
            _next = New();
        }

        arrived.SetResult();
    }

    /// <summary>What to wait for before asking again; null if nothing arrived since and nothing is on its way.</summary>
    /// <param name="completedBefore"><see cref="Completed"/> before the first question.</param>
    public Task? NextAfter(long completedBefore)
    {
        lock (_gate)
        {
            return _completed != completedBefore ? Task.CompletedTask : _pending > 0 ? _next.Task : null;
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
