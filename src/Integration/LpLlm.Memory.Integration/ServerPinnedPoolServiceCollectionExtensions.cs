using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Server;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers pools over memory that a pool server leases to this process.</summary>
/// <remarks>
/// A rent never crosses the wire: the pool divides what it leases, and asks the server only for further slabs. While the server is gone leases and
/// slabs stay usable, and growth fails with <see cref="PoolServerUnavailableException"/>. When the host starts, the server must be there unless
/// <see cref="ServerPinnedPoolOptions.InitialBytes"/> is 0. Beside <see cref="IPinnedMemoryPool"/>, a keyed <see cref="IServerPool"/> under the pool's
/// name (without a key too for the default one) shares leases with other processes, and has the server copy between leases and devices.
/// </remarks>
public static class ServerPinnedPoolServiceCollectionExtensions
{
    /// <summary>Registers the default pool, over a pool server's memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; the end point and the capacity are required.</param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddServerPinnedPool(this IServiceCollection services, Action<ServerPinnedPoolOptions> configure) =>
        services.AddServerPinnedPool(PinnedPoolRegistration.DefaultName, configure);

    /// <summary>Registers a named pool over a pool server's memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="configure">Sets the options; the end point and the capacity are required.</param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddServerPinnedPool(
        this IServiceCollection services, string name, Action<ServerPinnedPoolOptions> configure)
    {
        var builder = PinnedPoolRegistration.Add(
            services, name, configure, static (provider, key, _) => provider.GetRequiredKeyedService<ServerPool>(key));
        services.AddKeyedSingleton(
            name,
            (provider, _) => ServerPoolFactory.Create(provider, name, provider.GetRequiredService<IOptionsMonitor<ServerPinnedPoolOptions>>().Get(name)));
        services.AddKeyedSingleton<IServerPool>(name, (provider, _) => provider.GetRequiredKeyedService<ServerPool>(name));
        if (name == PinnedPoolRegistration.DefaultName)
        {
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IServerPool>(name));
        }

        PoolTransports.Add(services);
        return builder;
    }

    /// <summary>Registers the default pool, over a pool server's memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">
    /// The properties of <see cref="ServerPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="InvalidOperationException">A default pool is registered already.</exception>
    public static PinnedPoolBuilder AddServerPinnedPool(this IServiceCollection services, IConfiguration section) =>
        services.AddServerPinnedPool(PinnedPoolRegistration.DefaultName, section);

    /// <summary>Registers a named pool over a pool server's memory.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="name">Service key of the pool: 1 to 64 letters, digits, '_' and '-'.</param>
    /// <param name="section">
    /// The properties of <see cref="ServerPinnedPoolOptions"/>; sizes may be written <c>"2GiB"</c>. Unknown keys are errors.
    /// </param>
    /// <exception cref="ArgumentException">The name is malformed.</exception>
    /// <exception cref="InvalidOperationException">A pool of that name is registered already.</exception>
    public static PinnedPoolBuilder AddServerPinnedPool(this IServiceCollection services, string name, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddServerPinnedPool(name, options => SizedConfiguration.Bind(section, options));
    }
}
