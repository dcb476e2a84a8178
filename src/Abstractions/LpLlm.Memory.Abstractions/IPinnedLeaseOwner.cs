namespace LpLlm.Memory;

/// <summary>The part of a pool that a lease talks to. Implemented by pools and by wrappers around pools.</summary>
public interface IPinnedLeaseOwner
{
    /// <summary>Name of the pool.</summary>
    string PoolName { get; }

    /// <summary>What holds for the memory of this owner's leases.</summary>
    PoolCapabilities Capabilities { get; }

    /// <summary>Why this pool served the owner's leases.</summary>
    LeasePlacement Placement => LeasePlacement.FirstChoice;

    /// <summary>Takes a block back. Each lease calls this once, from any thread.</summary>
    /// <param name="block">The block the lease was made with.</param>
    /// <param name="fence">When not null, the block may be reused only after this has completed.</param>
    void TakeBack(in LeasedBlock block, IFence? fence);

    /// <summary>
    /// Tells that a lease which was returned before was returned again, which has no effect. For diagnosis; the default does nothing. The block
    /// may long belong to another lease. Must not throw.
    /// </summary>
    /// <param name="block">The block the lease was made with.</param>
    void ReturnedAgain(in LeasedBlock block)
    {
    }
}
