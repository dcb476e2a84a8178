using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Wrappers;

/// <summary>
/// Stands between leases and their owners, so that a wrapper sees each return. Nothing is allocated per lease: one owner of the
/// wrapper's stands for each owner below, of which a pool has one per slab.
/// </summary>
internal abstract class ReturnHandler
{
    private readonly ConditionalWeakTable<IPinnedLeaseOwner, InterposedOwner> _owners = [];
    private readonly Func<IPinnedLeaseOwner, IPinnedLeaseOwner> _interpose;
    private InterposedOwner? _last;

    protected ReturnHandler() => _interpose = Interpose;

    /// <summary>What leases say about why they came from their pool; null leaves it as it is.</summary>
    protected virtual LeasePlacement? Placement => null;

    public PinnedLease Watch(PinnedLease lease)
    {
        lease.Interpose(_interpose);
        return lease;
    }

    /// <summary>Passes a return on, with whatever the wrapper does before and after. Must call <paramref name="owner"/>'s TakeBack once.</summary>
    protected abstract void TakeBack(IPinnedLeaseOwner owner, in LeasedBlock block, IFence? fence);

    private InterposedOwner Interpose(IPinnedLeaseOwner owner)
    {
        // Nearly always the slab that served last.
        var last = Volatile.Read(ref _last);
        if (last is not null && ReferenceEquals(last.Inner, owner))
        {
            return last;
        }

        var found = _owners.GetValue(owner, inner => new InterposedOwner(this, inner));
        Volatile.Write(ref _last, found);
        return found;
    }

    private sealed class InterposedOwner(ReturnHandler handler, IPinnedLeaseOwner inner) : IPinnedLeaseOwner
    {
        public IPinnedLeaseOwner Inner => inner;

        public string PoolName => inner.PoolName;

        public PoolCapabilities Capabilities => inner.Capabilities;

        public LeasePlacement Placement => handler.Placement ?? inner.Placement;

        public void TakeBack(in LeasedBlock block, IFence? fence) => handler.TakeBack(inner, block, fence);

        public void ReturnedAgain(in LeasedBlock block) => inner.ReturnedAgain(block);
    }
}
