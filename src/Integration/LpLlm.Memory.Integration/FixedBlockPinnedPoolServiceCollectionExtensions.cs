using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers pools of blocks of one length.</summary>
/// <remarks>
/// As the other pools, and a keyed singleton <see cref="IFixedBlockPool"/> under the same name beside (for <c>default</c> one without a key
/// too). It is the same instance; resolving it throws <see cref="InvalidOperationException"/> when a wrapper was added that passes no batches on.
/// </remarks>
public static class FixedBlockPinnedPoolServiceCollectionExtensions
{
    /// <summary>Registers the default pool, of blocks of one length in this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; the length and the number of blocks are required.</param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddFixedBlockPinnedPool(
        this IServiceCollection services, Action<FixedBlockPinnedPoolOptions> configure) =>
        services.AddFixedBlockPinnedPool(PinnedPoolRegistration.DefaultName, configure);

    /// <summary>Registers a named pool of blocks of one length in this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="configure">Sets the options; the length and the number of blocks are required.</param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddFixedBlockPinnedPool(
        this IServiceCollection services, string name, Action<FixedBlockPinnedPoolOptions> configure)
    {
        var builder = PinnedPoolRegistration.Add(services, name, configure, Create);
        services.AddKeyedSingleton(name, (provider, _) => Resolve(provider, name));
        if (name == PinnedPoolRegistration.DefaultName)
        {
            services.TryAddSingleton(provider => Resolve(provider, name));
        }

        return builder;
    }

    /// <summary>Registers the default pool, of blocks of one length in this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">
    /// The properties of <see cref="FixedBlockPinnedPoolOptions"/>; sizes may be written <c>"4MiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddFixedBlockPinnedPool(this IServiceCollection services, IConfiguration section) =>
        services.AddFixedBlockPinnedPool(PinnedPoolRegistration.DefaultName, section);

    /// <summary>Registers a named pool of blocks of one length in this process's own page-locked memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="section">
    /// The properties of <see cref="FixedBlockPinnedPoolOptions"/>; sizes may be written <c>"4MiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddFixedBlockPinnedPool(this IServiceCollection services, string name, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddFixedBlockPinnedPool(name, options => SizedConfiguration.Bind(section, options));
    }

    private static IPinnedMemoryPool Create(IServiceProvider provider, string name, FixedBlockPinnedPoolOptions options) =>
        PinnedPoolFactory.CreateFixedBlock(
            name,
            options,
            PoolLogging.CreateLogger(provider, "PinnedPool"),
            provider.GetService<IHostPinner>(),
            provider.GetService<TimeProvider>());

    private static IFixedBlockPool Resolve(IServiceProvider provider, string name) =>
        provider.GetRequiredKeyedService<IPinnedMemoryPool>(name) as IFixedBlockPool
        ?? throw new InvalidOperationException(
            $"Pool '{name}' is wrapped, and its wrapper rents no batches: resolve it as {nameof(IPinnedMemoryPool)}, or register it without wrappers.");
}
