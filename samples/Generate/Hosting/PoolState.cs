namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>A pool's accounts, kept for the report.</summary>
internal sealed record PoolState(string Name, PoolCapabilities Capabilities, PoolSnapshot Snapshot)
{
    public static PoolState Of(IPinnedMemoryPool pool) => new(pool.Name, pool.Capabilities, pool.GetSnapshot());
}
