namespace LpLlm.Memory.Pooling;

/// <summary>A queued rent. Whoever takes it out of the queue completes it, so it is completed once.</summary>
internal sealed class RentWaiter : TaskCompletionSource<PinnedLease>
{
    public RentWaiter(in RentRequest request)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        Request = request;
        Place = new LinkedListNode<RentWaiter>(this);
    }

    public RentRequest Request { get; }

    /// <summary>The waiter's node, so that giving up is O(1) however long the queue is.</summary>
    public LinkedListNode<RentWaiter> Place { get; }
}
