namespace LpLlm.Memory.Models;

/// <summary>Memory of models out of a pool of this process: one lease a model, so that a model is contiguous.</summary>
internal sealed class PoolModelMemory(IPinnedMemoryPool pool) : IModelMemory
{
    private const int PageBytes = 4096;
    private const int HugePageBytes = 2 << 20;

    /// <summary>Does not wait for leases of others: whether a model is evicted instead is for the catalog to say, at once.</summary>
    public async ValueTask<ModelAllocation> AllocateAsync(string model, long lengthBytes, CancellationToken cancellationToken)
    {
        var request = new RentRequest((lengthBytes + PageBytes - 1) / PageBytes * PageBytes)
        {
            AlignmentBytes = lengthBytes >= HugePageBytes ? HugePageBytes : PageBytes,
            Timeout = TimeSpan.Zero,
        };
        try
        {
            return new LeaseAllocation(await pool.RentAsync(request, cancellationToken));
        }
        catch (PinnedMemoryExhaustedException e)
        {
            throw new ModelStoreException(ModelStoreFault.NoRoom, model, e.Message, e);
        }
    }
}
