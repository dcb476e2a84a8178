using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using Microsoft.Extensions.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers pinned memory pools.</summary>
/// <remarks>
/// Each call registers a keyed singleton <see cref="IPinnedMemoryPool"/> under the pool's name; the one named <c>default</c> (the
/// name of calls that give none) resolves without a key too. Options are checked, and pools take their initial memory, when the
/// host starts, in order of registration; without a host, at the first resolve and the first rent.
/// </remarks>
public static class PinnedPoolServiceCollectionExtensions
{
    /// <summary>Registers the default pool, over this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; <see cref="LocalPinnedPoolOptions.CapacityBytes"/> is required.</param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddLocalPinnedPool(this IServiceCollection services, Action<LocalPinnedPoolOptions> configure) =>
        services.AddLocalPinnedPool(PinnedPoolRegistration.DefaultName, configure);

    /// <summary>Registers a named pool over this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="configure">Sets the options; <see cref="LocalPinnedPoolOptions.CapacityBytes"/> is required.</param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddLocalPinnedPool(
        this IServiceCollection services, string name, Action<LocalPinnedPoolOptions> configure) =>
        PinnedPoolRegistration.Add(services, name, configure, CreateLocal);

    /// <summary>Registers the default pool, over this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">
    /// The properties of <see cref="LocalPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddLocalPinnedPool(this IServiceCollection services, IConfiguration section) =>
        services.AddLocalPinnedPool(PinnedPoolRegistration.DefaultName, section);

    /// <summary>Registers a named pool over this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="section">
    /// The properties of <see cref="LocalPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddLocalPinnedPool(this IServiceCollection services, string name, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddLocalPinnedPool(name, options => SizedConfiguration.Bind(section, options));
    }

    /// <summary>Registers the default pool as configuration chooses.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configuration">
    /// <c>{ "Kind": "Local", "Local": { … } }</c>: <c>Kind</c> names the pool, the section of that name holds its options.
    /// Sections of other kinds may stand beside it, so that changing <c>Kind</c> alone changes the pool.
    /// <c>"LeakDetection"</c>, <c>"Limit"</c>, <c>"Tracing"</c> and <c>"Statistics": true</c> beside it put wrappers around the pool.
    /// </param>
    /// <exception cref="InvalidOperationException">The kind or another key is unknown, or a default pool is registered already.</exception>
    public static PinnedPoolBuilder AddPinnedMemoryPool(this IServiceCollection services, IConfiguration configuration) =>
        services.AddPinnedMemoryPool(PinnedPoolRegistration.DefaultName, configuration);

    /// <summary>Registers a named pool as configuration chooses.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="configuration">
    /// <c>{ "Kind": "Local", "Local": { … } }</c>: <c>Kind</c> names the pool, the section of that name holds its options.
    /// Sections of other kinds may stand beside it, so that changing <c>Kind</c> alone changes the pool.
    /// <c>"LeakDetection"</c>, <c>"Limit"</c>, <c>"Tracing"</c> and <c>"Statistics": true</c> beside it put wrappers around the pool.
    /// </param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">The kind or another key is unknown, or a pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddPinnedMemoryPool(this IServiceCollection services, string name, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(configuration);
        return PoolKinds.Add(services, name, configuration);
    }

    private static IPinnedMemoryPool CreateLocal(IServiceProvider provider, string name, LocalPinnedPoolOptions options) =>
        PinnedPoolFactory.CreateLocal(
            name,
            options,
            PoolLogging.CreateLogger(provider, "PinnedPool"),
            provider.GetService<IHostPinner>(),
            provider.GetService<TimeProvider>());
}
