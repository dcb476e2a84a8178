using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers hybrid pools: size classes first, then a chain of other registered pools.</summary>
/// <remarks>
/// Beside <see cref="IPinnedMemoryPool"/>, a keyed <see cref="IHybridPool"/> under the pool's name (without a key too for the default one)
/// shows what each member does. The pools in a chain may be registered before or after it; an unknown name or a chain that leads back to
/// the pool fails when the host starts.
/// </remarks>
public static class HybridPinnedPoolServiceCollectionExtensions
{
    /// <summary>Registers the default pool, over other pools.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; a size class or a pool in the chain is required.</param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddHybridPinnedPool(this IServiceCollection services, Action<HybridPinnedPoolOptions> configure) =>
        services.AddHybridPinnedPool(PinnedPoolRegistration.DefaultName, configure);

    /// <summary>Registers a named pool over other pools.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="configure">Sets the options; a size class or a pool in the chain is required.</param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddHybridPinnedPool(
        this IServiceCollection services, string name, Action<HybridPinnedPoolOptions> configure)
    {
        var builder = PinnedPoolRegistration.Add(
            services, name, configure, static (provider, key, _) => provider.GetRequiredKeyedService<HybridPool>(key));
        services.AddSingleton(new HybridRegistration(name));
        services.AddKeyedSingleton(name, (provider, _) => Create(provider, name));
        services.AddKeyedSingleton<IHybridPool>(name, (provider, _) => provider.GetRequiredKeyedService<HybridPool>(name));
        if (name == PinnedPoolRegistration.DefaultName)
        {
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IHybridPool>(name));
        }

        return builder;
    }

    /// <summary>Registers the default pool, over other pools.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">
    /// The properties of <see cref="HybridPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddHybridPinnedPool(this IServiceCollection services, IConfiguration section) =>
        services.AddHybridPinnedPool(PinnedPoolRegistration.DefaultName, section);

    /// <summary>Registers a named pool over other pools.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="section">
    /// The properties of <see cref="HybridPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddHybridPinnedPool(this IServiceCollection services, string name, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddHybridPinnedPool(name, options => SizedConfiguration.Bind(section, options));
    }

    private static HybridPool Create(IServiceProvider provider, string name)
    {
        var options = provider.GetRequiredService<IOptionsMonitor<HybridPinnedPoolOptions>>().Get(name);
        return PinnedPoolFactory.CreateHybrid(
            name,
            options,
            HybridChain.Resolve(provider, name, options),
            PoolLogging.CreateLogger(provider, "PinnedPool"),
            provider.GetService<IHostPinner>(),
            provider.GetService<TimeProvider>());
    }
}
