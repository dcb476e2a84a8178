using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Server;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a pool server's models as the host's <see cref="IModelStore"/>.</summary>
/// <remarks>
/// Models are mapped read-only, and are in memory once for all processes of the host. The store connects when the first model is opened; a model that
/// is open stays readable whatever happens to the server.
/// </remarks>
public static class ServerModelStoreServiceCollectionExtensions
{
    /// <summary>Registers the store.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; the end point is required.</param>
    /// <exception cref="InvalidOperationException">A model store is registered already.</exception>
    public static IServiceCollection AddServerModelStore(this IServiceCollection services, Action<ServerModelStoreOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        if (services.Any(service => service.ServiceType == typeof(IModelStore)))
        {
            throw new InvalidOperationException("A model store is registered already; a host has one: its own, or a server's.");
        }

        PoolTransports.Add(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ServerModelStoreOptions>, ServerModelStoreOptionsValidator>());
        services.AddOptions<ServerModelStoreOptions>().Configure(configure).ValidateOnStart();
        services.AddSingleton(ServerModelStoreFactory.Create);
        return services;
    }

    /// <summary>As the other overload, with options from configuration.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">The properties of <see cref="ServerModelStoreOptions"/>. Unknown keys are errors.</param>
    /// <exception cref="InvalidOperationException">A model store is registered already.</exception>
    public static IServiceCollection AddServerModelStore(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddServerModelStore(options => SizedConfiguration.Bind(section, options));
    }
}
