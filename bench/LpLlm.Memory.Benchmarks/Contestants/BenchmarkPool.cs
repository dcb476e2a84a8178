using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Contestants;

internal static class BenchmarkPool
{
    /// <summary>Opens a pool of one slab. Locked or not makes no difference to renting, so a refusal to lock stops no benchmark.</summary>
    public static PinnedPool Open(long bytes) => Open(bytes, new LocalPinnedPoolOptions());

    /// <summary>The same without what threads keep back for themselves: every rent goes through the pool's gate.</summary>
    public static PinnedPool OpenWithoutThreadCaches(long bytes) => Open(bytes, new LocalPinnedPoolOptions { ThreadCacheBytes = 0 });

    /// <summary>Opens a pool of fixed blocks, as many as fit.</summary>
    public static FixedBlockPool OpenFixedBlocks(long bytes, long blockBytes)
    {
        var options = new FixedBlockPinnedPoolOptions { BlockBytes = blockBytes, Blocks = (int)(bytes / blockBytes), AllowPageable = true };
        var pool = PinnedPoolFactory.CreateFixedBlock("bench", options, NullLogger.Instance);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return pool;
    }

    private static PinnedPool Open(long bytes, LocalPinnedPoolOptions options)
    {
        (options.CapacityBytes, options.SlabBytes, options.InitialBytes, options.AllowPageable) = (bytes, bytes, bytes, true);
        var pool = PinnedPoolFactory.CreateLocal("bench", options, NullLogger.Instance);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return pool;
    }
}
