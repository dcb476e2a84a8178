using LpLlm.Memory;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the attention manager.</summary>
public static class AttnManagerServiceCollectionExtensions
{
    /// <summary>Registers a singleton <see cref="IAttnManager"/> over a registered pool.</summary>
    /// <param name="services">The services; the pool may be registered before or after.</param>
    /// <param name="configuration">
    /// A section with the names of <see cref="AttnManagerOptions"/>. Sizes may be written <c>8GiB</c>, <c>512MB</c> or in bytes.
    /// </param>
    /// <remarks>
    /// An unknown key, a value that cannot be read and an option out of range throw <see cref="OptionsValidationException"/>
    /// at host start, or at the first resolve without a host; the message lists all of them. So does a device that is not here.
    /// </remarks>
    /// <exception cref="InvalidOperationException">An attention manager was added before.</exception>
    public static IServiceCollection AddAttnManager(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return services.AddAttnManager(options => SizedConfiguration.Bind(configuration, options));
    }

    /// <summary>Registers a singleton <see cref="IAttnManager"/> over a registered pool.</summary>
    /// <param name="services">The services; the pool may be registered before or after.</param>
    /// <param name="configure">Sets the options.</param>
    /// <exception cref="InvalidOperationException">An attention manager was added before.</exception>
    /// <remarks>Options out of range throw <see cref="OptionsValidationException"/>, as above.</remarks>
    public static IServiceCollection AddAttnManager(this IServiceCollection services, Action<AttnManagerOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        if (services.Any(service => service.ServiceType == typeof(IValidateOptions<AttnManagerOptions>)))
        {
            throw new InvalidOperationException("AddAttnManager was called before; a second call would merge the options of both.");
        }

        services.AddOptionsWithValidateOnStart<AttnManagerOptions, AttnManagerOptionsValidator>().Configure(configure);
        services.TryAddSingleton<IAttnManager>(Create);
        return services;
    }

    private static AttnManager Create(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<AttnManagerOptions>>().Value;
        var pool = AttnPoolSelector.Select(provider, options);
        var device = AttnDeviceSelector.Select(options.Device, provider.GetService<IDeviceSet>());
        if (provider.GetService<ILogger<AttnManager>>() is { } logger)
        {
            AttnManagerLog.PoolChosen(logger, pool.Name, pool.Capabilities, options.PoolSize);
            if (device is not null && !pool.Capabilities.HasFlag(PoolCapabilities.DeviceVisible))
            {
                AttnManagerLog.PoolNotDeviceVisible(logger, device.Name, pool.Name);
            }
        }

        return new AttnManager(pool, options, device, provider.GetService<TimeProvider>());
    }
}
