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

    /// <summary>Whether somebody takes memory for it now. Under the queue's gate.</summary>
    public bool IsBeingServed { get; set; }

    /// <summary>Why it gave up while it was being served. Under the queue's gate.</summary>
    public Exception? Withdrawal { get; set; }

    /// <summary>The waiter's node, so that giving up is O(1) however long the queue is.</summary>
    public LinkedListNode<RentWaiter> Place { get; }
}
