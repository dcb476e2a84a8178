namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>One of our pools, called through its interface as an application does.</summary>
internal readonly unsafe struct PinnedPoolAdapter(IPinnedMemoryPool pool) : IAdapter<LeaseBlock>
{
    public LeaseBlock Rent(long lengthBytes)
    {
        var lease = pool.Rent(lengthBytes);
        *(byte*)lease.Address = 1;
        return new LeaseBlock(lease);
    }

    public void Return(LeaseBlock block) => block.Lease.Dispose();
}
