using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Tlsf;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Replay;

/// <summary>The pools that a trace can be replayed against; each is empty, has one slab, and has taken it.</summary>
internal static class ReplayPools
{
    private static readonly Dictionary<string, Func<long, long, IMemorySource, IOpenablePool>> Known = new()
    {
        ["local"] = (bytes, _, source) => Create(bytes, source, threadCacheBytes: new LocalPinnedPoolOptions().ThreadCacheBytes, null),
        ["tlsf"] = (bytes, _, source) => Create(bytes, source, threadCacheBytes: 0, null),
        ["first-fit"] = (bytes, _, source) => Create(bytes, source, threadCacheBytes: 0, size => new FirstFitAllocator(size)),
        ["fixed"] = CreateFixed,
    };

    public static string[] Names => [.. Known.Keys];

    /// <summary>Capacities are rounded up to pages; a slab, and with it the pool, is no larger than TLSF's largest.</summary>
    public static long MaxCapacityBytes => TlsfAllocator.MaxCapacityBytes;

    /// <exception cref="MemorySourceException">Real memory was asked for, and there is not that much.</exception>
    public static IPinnedMemoryPool Open(string name, long capacityBytes, long longestBytes, bool simulated)
    {
        IMemorySource source = simulated
            ? new SimulatedMemorySource()
            : HostMemory.CreateSource(new LocalPinnedPoolOptions { AllowPageable = true }, pinner: null, NullLogger.Instance);
        var pool = Known[name](capacityBytes, longestBytes, source);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return (IPinnedMemoryPool)pool;
    }

    /// <summary>Blocks of the trace's longest length, as many as the capacity holds.</summary>
    private static FixedBlockPool CreateFixed(long bytes, long longestBytes, IMemorySource source)
    {
        var options = new FixedBlockPinnedPoolOptions { BlockBytes = longestBytes, Blocks = (int)Math.Clamp(bytes / longestBytes, 1, 1 << 28) };
        return new FixedBlockPool(FixedBlockSettings.From("replay", options), source, NullLogger.Instance);
    }

    private static PinnedPool Create(
        long bytes, IMemorySource source, long threadCacheBytes, Func<long, IBlockAllocator>? createAllocator) => new(
        new PinnedPoolSettings
        {
            Name = "replay",
            CapacityBytes = bytes,
            SlabBytes = bytes,
            InitialBytes = bytes,
            ThreadCacheBytes = threadCacheBytes,
        },
        source,
        NullLogger.Instance,
        createAllocator: createAllocator);
}
