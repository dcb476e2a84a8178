using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>One of our pools, called through its interface as an application does.</summary>
internal readonly struct PoolHeap(IPinnedMemoryPool pool) : IOffsetHeap<LeaseBlock>
{
    /// <summary>Our pool with default options, in one slab of addresses.</summary>
    public static OpenHeap<PoolHeap> OpenPinnedPool(long capacityBytes)
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = capacityBytes, SlabBytes = capacityBytes, InitialBytes = capacityBytes };
        var pool = new PinnedPool(PinnedPoolSettings.From("bench", options), new AddressOnlySource(), NullLogger.Instance);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return new OpenHeap<PoolHeap>(new PoolHeap(pool), pool);
    }

    /// <summary>Our pool of fixed blocks with default options, as many blocks as the capacity holds.</summary>
    public static OpenHeap<PoolHeap> OpenFixedBlockPool(long capacityBytes, long blockBytes)
    {
        var options = new FixedBlockPinnedPoolOptions { BlockBytes = blockBytes, Blocks = (int)(capacityBytes / blockBytes) };
        var pool = new FixedBlockPool(FixedBlockSettings.From("bench", options), new AddressOnlySource(), NullLogger.Instance);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return new OpenHeap<PoolHeap>(new PoolHeap(pool), pool);
    }

    public bool TryTake(long lengthBytes, int alignmentBytes, out LeaseBlock block)
    {
        var taken = pool.TryRent(lengthBytes, out var lease, alignmentBytes);
        block = new LeaseBlock(lease!);
        return taken;
    }

    public void Return(LeaseBlock block) => block.Lease.Dispose();

    public long OffsetOf(LeaseBlock block) => block.Lease.Address - AddressOnlySource.FirstAddress;
}
