namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>The lease object without a pool: made, touched, disposed. What it takes is in the figures of every pool.</summary>
internal readonly unsafe struct LeaseOnlyAdapter(NoOwner owner) : IAdapter<LeaseBlock>
{
    public LeaseBlock Rent(long lengthBytes)
    {
        var lease = new PinnedLease(owner, new LeasedBlock(owner.Address, lengthBytes, Token: 0));
        *(byte*)lease.Address = 1;
        return new LeaseBlock(lease);
    }

    public void Return(LeaseBlock block) => block.Lease.Dispose();
}
