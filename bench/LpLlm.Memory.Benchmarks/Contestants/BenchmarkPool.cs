using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Contestants;

internal static class BenchmarkPool
{
    /// <summary>Opens a pool of one slab. Locked or not makes no difference to renting, so a refusal to lock stops no benchmark.</summary>
    public static PinnedPool Open(long bytes)
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = bytes, SlabBytes = bytes, InitialBytes = bytes, AllowPageable = true };
        var pool = PinnedPoolFactory.CreateLocal("bench", options, NullLogger.Instance);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        return pool;
    }
}
