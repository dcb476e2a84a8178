using LpLlm.Memory.Wrappers;

namespace LpLlm.Memory.Pooling;

/// <summary>The leases that one member served for one reason: says the reason on each, counts them out and in.</summary>
internal sealed class HopLeases(LeaseRundown rundown, LeasePlacement placement) : ReturnHandler
{
    private long _served;
    private long _servedBytes;
    private long _returned;
    private long _returnedBytes;

    public long Served => Interlocked.Read(ref _served);

    public long ServedBytes => Interlocked.Read(ref _servedBytes);

    public long Returned => Interlocked.Read(ref _returned);

    public long ReturnedBytes => Interlocked.Read(ref _returnedBytes);

    // The first choice leaves the lease as it is: a member that is itself a hybrid pool may have fallen back.
    protected override LeasePlacement? Placement => placement == LeasePlacement.FirstChoice ? null : placement;

    public PinnedLease Serve(PinnedLease lease)
    {
        Interlocked.Increment(ref _served);
        Interlocked.Add(ref _servedBytes, lease.LengthBytes);
        return Watch(lease);
    }

    protected override void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence)
    {
        owner.TakeBack(block, fence);
        Interlocked.Increment(ref _returned);
        Interlocked.Add(ref _returnedBytes, block.LengthBytes);
        rundown.Exit(); // last: who waits for it disposes the member
    }
}
