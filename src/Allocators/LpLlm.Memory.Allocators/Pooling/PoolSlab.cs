namespace LpLlm.Memory.Pooling;

/// <summary>One region and the allocator that divides it. Owns the leases cut from it.</summary>
internal sealed class PoolSlab(PinnedPool pool, MemoryRegion region, IBlockAllocator allocator) : IPinnedLeaseOwner
{
    // Read under the pool's gate on every rent and return: no calls and no division there.
    private readonly int _allocatorId = allocator.Id;
    private readonly long _unitBytes = allocator.UnitBytes;
    private readonly nint _address = region.Address;

    public MemoryRegion Region => region;

    public IBlockAllocator Allocator => allocator;

    public string PoolName => pool.Name;

    public PoolCapabilities Capabilities => region.Capabilities;

    public bool IsIdle => allocator.LiveBlocks == 0;

    public PinnedLease Lease(in BlockHandle block, long lengthBytes) =>
        new(this, new LeasedBlock(_address + (nint)block.OffsetBytes, lengthBytes, ((long)block.Slot << 32) | (uint)block.Generation));

    public void TakeBack(in LeasedBlock block, IFence? fence) => pool.TakeBack(this, block, fence);

    public long FreeUnsynchronized(in LeasedBlock block)
    {
        var rounded = RoundedBytes(block.LengthBytes);
        allocator.Free(new BlockHandle(block.Address - _address, rounded, (int)(block.Token >> 32), (int)block.Token, _allocatorId));
        return rounded;
    }

    public long RoundedBytes(long lengthBytes) => (((lengthBytes - 1) / _unitBytes) + 1) * _unitBytes;
}
