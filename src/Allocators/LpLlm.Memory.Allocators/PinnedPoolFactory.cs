using LpLlm.Memory.Pooling;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>Puts pools together from options, which it checks: the second door to <see cref="PinnedPoolOptions.Validate"/>.</summary>
internal static class PinnedPoolFactory
{
    /// <exception cref="ArgumentException">The options are wrong; every error is named.</exception>
    public static PinnedPool CreateLocal(
        string name, LocalPinnedPoolOptions options, ILogger logger, IHostPinner? pinner = null, TimeProvider? time = null)
    {
        Check(name, options);
        return new PinnedPool(PinnedPoolSettings.From(name, options), HostMemory.CreateSource(options, pinner, logger), logger, time);
    }

    /// <exception cref="ArgumentException">The options are wrong; every error is named.</exception>
    public static FixedBlockPool CreateFixedBlock(
        string name, FixedBlockPinnedPoolOptions options, ILogger logger, IHostPinner? pinner = null, TimeProvider? time = null)
    {
        Check(name, options);
        return new FixedBlockPool(FixedBlockSettings.From(name, options), HostMemory.CreateSource(options, pinner, logger), logger, time);
    }

    /// <exception cref="ArgumentException">The options are wrong; every error is named.</exception>
    /// <exception cref="InvalidOperationException">The chain's pools do not go together.</exception>
    public static HybridPool CreateHybrid(
        string name,
        HybridPinnedPoolOptions options,
        IReadOnlyList<IPinnedMemoryPool> chain,
        ILogger logger,
        IHostPinner? pinner = null,
        TimeProvider? time = null)
    {
        Check(name, options);
        return new HybridPool(
            HybridPoolSettings.From(name, options), HybridMembers.Create(name, options, chain, logger, pinner, time), logger, time);
    }

    private static void Check(string name, PinnedPoolOptions options) => OptionErrors.ThrowIfAny(name, options.Validate, nameof(options));
}
