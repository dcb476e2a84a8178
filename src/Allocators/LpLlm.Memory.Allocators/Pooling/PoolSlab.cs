namespace LpLlm.Memory.Pooling;

/// <summary>One region and the allocator that divides it. Owns the leases cut from it.</summary>
internal sealed class PoolSlab(PinnedPool pool, MemoryRegion region, IBlockAllocator allocator) : IPinnedLeaseOwner
{
    // Read under the pool's gate on every rent and return: no calls there.
    private readonly int _allocatorId = allocator.Id;
    private readonly long _unitMask = allocator.UnitBytes - 1;
    private readonly nint _address = region.Address;

    public MemoryRegion Region => region;

    public IBlockAllocator Allocator => allocator;

    public string PoolName => pool.Name;

    public PoolCapabilities Capabilities => region.Capabilities;

    /// <summary>Is one lease and nothing else: it comes with the lease, and goes back to the source with it.</summary>
    public bool IsWhole { get; init; }

    public bool IsIdle => allocator.LiveBlocks == 0;

    public PinnedLease Lease(in BlockHandle block, long lengthBytes) =>
        Lease(_address + (nint)block.OffsetBytes, lengthBytes, ((long)block.Slot << 32) | (uint)block.Generation);

    public PinnedLease Lease(nint address, long lengthBytes, long token) => new(this, new LeasedBlock(address, lengthBytes, token));

    public void TakeBack(in LeasedBlock block, IFence? fence) => pool.TakeBack(this, block, fence);

    public void FreeUnsynchronized(nint address, long roundedBytes, long token) =>
        allocator.Free(new BlockHandle(address - _address, roundedBytes, (int)(token >> 32), (int)token, _allocatorId));

    public long RoundedBytes(long lengthBytes) => (lengthBytes + _unitMask) & ~_unitMask;
}
