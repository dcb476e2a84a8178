namespace LpLlm.Memory.Models;

/// <summary>A copy of a model in a client's device memory: being written, written, or failed. Thread-safe.</summary>
internal sealed class Replica(string model, string name)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Model => model;

    public string Name => name;

    /// <summary>Written, or failed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>When it ended; set with that.</summary>
    public long EndedTimestamp { get; private set; }

    public void End(Exception? failure, long timestamp)
    {
        EndedTimestamp = timestamp;
        if (failure is null)
        {
            _ended.SetResult();
            return;
        }

        _ended.SetException(failure);
        _ = _ended.Task.Exception; // Observed: a copy that nobody asks after is no fault of the process.
    }
}
