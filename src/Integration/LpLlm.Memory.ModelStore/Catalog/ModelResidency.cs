namespace LpLlm.Memory.Models;

/// <summary>
/// One stay of a model in memory, from the beginning of its load. A later load has a new one, so that nothing of an earlier load can be
/// taken for this one's (U5). What is not said to be thread-safe belongs to the catalog's lock.
/// </summary>
/// <param name="entry">The model.</param>
/// <param name="priority">Of the load.</param>
/// <param name="startedTimestamp">When the load began.</param>
/// <param name="cancellation">Ends the load. Never disposed, because it may be cancelled at any time; it has no timer and no handle.</param>
internal sealed class ModelResidency(CatalogEntry entry, RentPriority priority, long startedTimestamp, CancellationTokenSource cancellation)
{
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _priority = (int)priority;

    public CatalogEntry Entry => entry;

    public long StartedTimestamp => startedTimestamp;

    public bool IsLoaded { get; private set; }

    /// <summary>Nobody may join: nobody waits any more, and the load is being ended.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>Calls that wait for the end of the load.</summary>
    public int WaiterCount { get; set; }

    /// <summary>Uses that have not been disposed; they keep the memory, whatever became of the load.</summary>
    public int UseCount { get; set; }

    /// <summary>Whether the model is no longer in the catalog's books, so that the last use gives the memory back.</summary>
    public bool IsDetached { get; set; }

    public TimeSpan? LoadTime { get; private set; }

    public bool IsIdle => IsLoaded && UseCount == 0;

    /// <summary>The memory; null until there was room. Thread-safe once <see cref="Begun"/>.</summary>
    public ModelAllocation? Allocation { get; private set; }

    /// <summary>The pieces; null until there was room. Thread-safe once <see cref="Begun"/>.</summary>
    public PieceProgress? Pieces { get; private set; }

    /// <summary>The index, read beside the data so that it is of the same save. Thread-safe once <see cref="Begun"/>.</summary>
    public Task<IReadOnlyList<TensorInfo>>? Tensors { get; private set; }

    /// <summary>Length of the data; 0 until there was room.</summary>
    public long LengthBytes { get; private set; }

    /// <summary>Whose parts are read first. Thread-safe.</summary>
    public RentPriority Priority => (RentPriority)Volatile.Read(ref _priority);

    /// <summary>Ends the load. Thread-safe.</summary>
    public CancellationToken Cancellation => cancellation.Token;

    /// <summary>There is memory, and pieces come. Thread-safe.</summary>
    public Task Begun => _begun.Task;

    /// <summary>The load ended, with its failure if it has one. Thread-safe.</summary>
    public Task Ended => _ended.Task;

    public void Raise(RentPriority priority) => Volatile.Write(ref _priority, Math.Max(_priority, (int)priority));

    public void Begin(ModelAllocation allocation, PieceProgress pieces, Task<IReadOnlyList<TensorInfo>> tensors, long lengthBytes) =>
        (Allocation, Pieces, Tensors, LengthBytes) = (allocation, pieces, tensors, lengthBytes);

    public void Complete(TimeSpan loadTime) =>
        (IsLoaded, IsCancelled, LoadTime) = (true, false, loadTime); // the last part may have come before the cancellation

    /// <returns>Whether nobody wants the load any more, so that the caller must <see cref="Cancel"/> it. From then on nobody may join.</returns>
    public bool GiveUpIfUnwanted()
    {
        var isUnwanted = !IsLoaded && !IsDetached && WaiterCount + UseCount == 0;
        IsCancelled |= isUnwanted;
        return isUnwanted;
    }

    /// <summary>Thread-safe; not under the lock, as are the next three.</summary>
    public void TellBegun() => _begun.TrySetResult();

    /// <summary>Ends the load early.</summary>
    public void Cancel() => cancellation.Cancel();

    public void TellEnded(Exception? failure)
    {
        if (failure is null)
        {
            _ended.SetResult();
            return;
        }

        _begun.TrySetException(failure);
        _ended.SetException(failure);
        _ = (_begun.Task.Exception, _ended.Task.Exception); // Observed: a load that nobody waits for is no fault of the process.
    }
}
