using LpLlm.Memory;
using LpLlm.Memory.Configuration;
using LpLlm.Memory.Models;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a model store in this process.</summary>
public static class ModelStoreServiceCollectionExtensions
{
    /// <summary>Registers a singleton <see cref="IModelStore"/> that loads models into a registered pool.</summary>
    /// <param name="services">The services; the pool may be registered before or after.</param>
    /// <param name="configuration">A section with the names of <see cref="ModelStoreOptions"/>.</param>
    /// <remarks>
    /// An unknown key, a value that cannot be read and an option out of range throw <see cref="OptionsValidationException"/>
    /// at host start, or at the first resolve without a host; the message lists all of them.
    /// </remarks>
    /// <exception cref="InvalidOperationException">A model store was added before.</exception>
    public static IServiceCollection AddModelStore(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return services.AddModelStore(options => SizedConfiguration.Bind(configuration, options));
    }

    /// <summary>Registers a singleton <see cref="IModelStore"/> that loads models into a registered pool.</summary>
    /// <param name="services">The services; the pool may be registered before or after.</param>
    /// <param name="configure">Sets the options.</param>
    /// <remarks>Options out of range throw <see cref="OptionsValidationException"/>, as above.</remarks>
    /// <exception cref="InvalidOperationException">A model store was added before.</exception>
    public static IServiceCollection AddModelStore(this IServiceCollection services, Action<ModelStoreOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        if (services.Any(service => service.ServiceType == typeof(IModelStore)))
        {
            throw new InvalidOperationException("A model store was added before; an application has one, in this process or of a server.");
        }

        services.AddOptionsWithValidateOnStart<ModelStoreOptions, ModelStoreOptionsValidator>().Configure(configure);
        return services.AddSingleton<IModelStore>(Create);
    }

    private static LocalModelStore Create(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<ModelStoreOptions>>().Value;
        var settings = new ModelCatalogSettings { StoragePath = options.StoragePath, ThreadCount = options.ThreadCount };
        var logger = provider.GetService<ILogger<ModelCatalog>>() ?? NullLogger<ModelCatalog>.Instance;
        var time = provider.GetService<TimeProvider>() ?? TimeProvider.System;
        return new LocalModelStore(new ModelCatalog(settings, new PoolModelMemory(SelectPool(provider, options)), time, logger));
    }

    private static IPinnedMemoryPool SelectPool(IServiceProvider provider, ModelStoreOptions options) => options.PoolName is { } name
        ? provider.GetKeyedService<IPinnedMemoryPool>(name)
            ?? throw new InvalidOperationException($"PoolName = '{name}' is not a registered pool; register it, or leave the name out for the default pool.")
        : provider.GetService<IPinnedMemoryPool>()
            ?? throw new InvalidOperationException("The model store takes the default pool, and none is registered; register one, or set PoolName.");
}
