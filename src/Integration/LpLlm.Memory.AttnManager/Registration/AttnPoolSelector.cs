using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Attention;

/// <summary>The one place that decides which registered pool holds the KV pages.</summary>
internal static class AttnPoolSelector
{
    public static IPinnedMemoryPool Select(IServiceProvider provider, AttnManagerOptions options)
    {
        if (options.PoolName is { } name)
        {
            return provider.GetKeyedService<IPinnedMemoryPool>(name) ?? throw new InvalidOperationException(
                $"PoolName = '{name}' is not a registered pool; {Describe(NamedPools(provider))}.");
        }

        if (options.UseServerPool)
        {
            return SelectShared(NamedPools(provider));
        }

        return provider.GetService<IPinnedMemoryPool>() ?? throw new InvalidOperationException(
            $"UseServerPool = false takes the default pool, and none is registered; set PoolName, or register a pool without a name; "
            + $"{Describe(NamedPools(provider))}.");
    }

    private static IPinnedMemoryPool SelectShared(IPinnedMemoryPool[] pools)
    {
        var shared = pools.Where(pool => pool.Capabilities.HasFlag(PoolCapabilities.Shared)).ToArray();
        return shared.Length == 1
            ? shared[0]
            : throw new InvalidOperationException(
                $"UseServerPool = true needs exactly one registered pool whose memory is shared with a pool server, and there are "
                + $"{shared.Length}; set PoolName, or UseServerPool = false for the default pool; {Describe(pools)}.");
    }

    // One pool may stand under several keys: distinct, so that it is not counted against itself.
    private static IPinnedMemoryPool[] NamedPools(IServiceProvider provider) =>
        [.. provider.GetKeyedServices<IPinnedMemoryPool>(KeyedService.AnyKey).Distinct()];

    private static string Describe(IPinnedMemoryPool[] pools) => pools.Length == 0
        ? "no named pool is registered"
        : $"the registered pools are {string.Join(", ", pools.Select(pool => $"'{pool.Name}' ({pool.Capabilities})"))}";
}
