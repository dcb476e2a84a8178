namespace LpLlm.Memory.Wrappers;

/// <summary>
/// What a queue for a budget hands out: leases of reserved bytes over no memory. The queue returns the ticket of a rent that gave up
/// meanwhile, which cancels the reservation.
/// </summary>
internal sealed class BudgetTickets(IPinnedMemoryPool pool, ByteBudget budget) : IPinnedLeaseOwner
{
    public string PoolName => pool.Name;

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    public PinnedLease Create(long lengthBytes) => new(this, new LeasedBlock(Address: 0, lengthBytes, Token: 0));

    public void TakeBack(in LeasedBlock block, IFence? fence) => budget.Cancel(block.LengthBytes);
}
