using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>Our pool with default options: slabs of 1 GiB, 2 MiB pages asked for, populated on all processors.</summary>
internal sealed class PoolCreation : ICreation
{
    public string Name => "PinnedPool";

    public IDisposable Create(long lengthBytes)
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = lengthBytes, InitialBytes = lengthBytes };
        var pool = PinnedPoolFactory.CreateLocal("bench", options, NullLogger.Instance);
        try
        {
            pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }
}
