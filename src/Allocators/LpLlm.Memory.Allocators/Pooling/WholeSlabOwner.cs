namespace LpLlm.Memory.Pooling;

/// <summary>
/// Owns the one lease of a slab that is nothing else. Beside <see cref="PoolSlab"/>, so that the return of an ordinary lease asks nothing more. The lease
/// may be shorter than the slab, which is taken back as a whole.
/// </summary>
internal sealed class WholeSlabOwner(PinnedPool pool, PoolSlab slab, long slabBytes) : IPinnedLeaseOwner
{
    public string PoolName => pool.Name;

    public PoolCapabilities Capabilities => slab.Capabilities;

    public PinnedLease Lease(in BlockHandle block, long lengthBytes) =>
        new(this, new LeasedBlock(slab.Region.Address, lengthBytes, ((long)block.Slot << 32) | (uint)block.Generation));

    public void TakeBack(in LeasedBlock block, IFence? fence) => pool.TakeBackWhole(slab, block with { LengthBytes = slabBytes }, fence);
}
