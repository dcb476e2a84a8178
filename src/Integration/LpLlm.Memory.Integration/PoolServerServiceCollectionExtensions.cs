using LpLlm.Memory;
using LpLlm.Memory.Server;
using LpLlm.Memory.Server.Windows;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Embeds a pool server in the host: the same one that <c>sllm-store</c> runs.</summary>
/// <remarks>
/// It starts before the host's other services, or earlier, when a pool with the end point <c>embedded</c> opens first; it stops after them. It is
/// disposed with the container, after its pools. Linux, or Windows with a pipe end point. Where a Linux host has devices (<c>AddCudaHostMemory</c>), the server copies for its clients
/// between their leases and memory of those devices; the driver is loaded when a client first asks for that.
/// </remarks>
public static class PoolServerServiceCollectionExtensions
{
    /// <summary>Registers the pool server of this host.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; <see cref="PoolServerOptions.CapacityBytes"/> is required.</param>
    /// <exception cref="InvalidOperationException">There is one already.</exception>
    public static IServiceCollection AddPoolServer(this IServiceCollection services, Action<PoolServerOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        if (services.Any(service => service.ServiceType == typeof(PoolServer)))
        {
            throw new InvalidOperationException("A pool server is registered already; one is enough for a host.");
        }

        PoolTransports.Add(services);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PoolServerOptions>, PoolServerOptionsValidator>());
        services.AddOptions<PoolServerOptions>().Configure(configure).ValidateOnStart();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<PoolServerOptions>>().Value.Limits);
        services.AddSingleton(Create);
        services.AddHostedService<PoolServerHost>();
        return services;
    }

    /// <summary>As the other overload, with options from configuration.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">The properties of <see cref="PoolServerOptions"/>; sizes may be written <c>"64GiB"</c>. Unknown keys are errors.</param>
    /// <exception cref="InvalidOperationException">There is one already.</exception>
    public static IServiceCollection AddPoolServer(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddPoolServer(options => options.Read(section));
    }

    private static PoolServer Create(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<PoolServerOptions>>().Value;
        return new PoolServer(
            options,
            provider.GetRequiredService<PoolTransports>(),
            provider.GetService<ISegmentSource>() ?? CreateSegments(provider, options),
            provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance,
            provider.GetService<TimeProvider>() ?? TimeProvider.System,
            provider.GetService<IDeviceSet>(),
            provider.GetService<IModelServiceFactory>());
    }

    /// <summary>Segments of this operating system's memory.</summary>
    private static ISegmentSource CreateSegments(IServiceProvider provider, PoolServerOptions options)
    {
        var settings = HostSegmentSource.SettingsOf(options);
        var logger = PoolLogging.CreateLogger(provider, "PoolServer");
        return OperatingSystem.IsWindows()
            ? new SectionSegmentSource(settings, logger)
            : new HostSegmentSource(settings, logger, devicePinner: provider.GetService<IDeviceSet>() is null ? null : provider.GetService<IHostPinner>);
    }
}
