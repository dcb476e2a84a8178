namespace LpLlm.Memory.Pooling;

/// <summary>A queued <see cref="IPinnedMemoryPool.RentAsync"/>. Whoever removes it from the queue completes it, so it is completed once.</summary>
internal sealed class RentWaiter : TaskCompletionSource<PinnedLease>
{
    private CancellationTokenRegistration _cancellation;
    private ITimer? _deadline;

    public RentWaiter(long lengthBytes, int alignmentBytes)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        LengthBytes = lengthBytes;
        AlignmentBytes = alignmentBytes;
        Place = new LinkedListNode<RentWaiter>(this);
    }

    public long LengthBytes { get; }

    public int AlignmentBytes { get; }

    /// <summary>The waiter's node, so that giving up is O(1) however long the queue is.</summary>
    public LinkedListNode<RentWaiter> Place { get; }

    /// <summary>Set under the pool's gate when memory is handed over, before the task completes outside of it.</summary>
    public PinnedLease? Served { get; set; }

    public void Watch(CancellationTokenRegistration cancellation, ITimer deadline)
    {
        _cancellation = cancellation;
        _deadline = deadline;
    }

    public void Unwatch()
    {
        _cancellation.Unregister();
        _deadline?.Dispose();
    }
}
