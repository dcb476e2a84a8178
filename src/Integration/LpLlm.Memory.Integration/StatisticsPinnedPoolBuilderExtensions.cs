using System.Diagnostics.Metrics;
using LpLlm.Memory;
using LpLlm.Memory.Statistics;
using LpLlm.Memory.Wrappers;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Counts and times what a pool does.</summary>
public static class StatisticsPinnedPoolBuilderExtensions
{
    /// <summary>
    /// Registers <see cref="IPoolStatistics"/> under the pool's name (for the default pool without a key too), and publishes the pool's
    /// figures as metrics of the meter <c>LpLlm.Memory</c> until the pool is disposed. Counted is what reaches this wrapper: add it last.
    /// </summary>
    /// <remarks>Two readings of the clock and two counters for each rent and each return.</remarks>
    /// <param name="builder">The pool.</param>
    /// <exception cref="InvalidOperationException">The pool has statistics already.</exception>
    public static PinnedPoolBuilder AddStatistics(this PinnedPoolBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddWrapper(nameof(AddStatistics));
        builder.Services.AddKeyedSingleton(builder.Name, (provider, _) => new PoolRecorder(provider.GetService<TimeProvider>()));
        builder.Services.AddKeyedSingleton<IPoolStatistics>(
            builder.Name, (provider, key) => provider.GetRequiredKeyedService<PoolRecorder>(key));
        if (builder.Name == PinnedPoolRegistration.DefaultName)
        {
            builder.Services.TryAddSingleton(
                provider => provider.GetRequiredKeyedService<IPoolStatistics>(PinnedPoolRegistration.DefaultName));
        }

        return builder.Wrap((provider, pool) => new StatisticsPool(
            pool, provider.GetRequiredKeyedService<PoolRecorder>(builder.Name), provider.GetService<IMeterFactory>()));
    }
}
