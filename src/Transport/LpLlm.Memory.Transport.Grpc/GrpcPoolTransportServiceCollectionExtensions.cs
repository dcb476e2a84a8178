using LpLlm.Memory;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Grpc;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers gRPC as a transport of pool servers and their clients.</summary>
/// <remarks>
/// Adds two singletons <see cref="PoolTransport"/>, for end points <c>grpc://host:port</c> (TCP) and <c>grpc+unix:///path</c>. A server's listeners
/// host <c>lpllm.memory.v1.Pool</c>, the original's <c>storage.Storage</c>, <c>grpc.health.v1.Health</c> and server reflection. A registered
/// <see cref="PoolTransportLimits"/> replaces the default limits. Calling it again only adds to the options.
/// </remarks>
public static class GrpcPoolTransportServiceCollectionExtensions
{
    /// <summary>Registers gRPC on TCP and on Unix sockets.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="configure">Sets the options; without it, TCP works on loopback addresses and without a token.</param>
    public static IServiceCollection AddGrpcPoolTransport(this IServiceCollection services, Action<GrpcPoolTransportOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var options = services.AddOptions<GrpcPoolTransportOptions>().ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        if (services.Any(static service => service.ImplementationType == typeof(GrpcPoolTransportOptionsValidator)))
        {
            return services;
        }

        services.AddSingleton<IValidateOptions<GrpcPoolTransportOptions>, GrpcPoolTransportOptionsValidator>();
        services.AddSingleton<PoolTransport>(static provider => Create(provider, GrpcEndPoint.Tcp));
        services.AddSingleton<PoolTransport>(static provider => Create(provider, GrpcEndPoint.Unix));
        return services;
    }

    /// <summary>Registers gRPC on TCP and on Unix sockets.</summary>
    /// <param name="services">The collection.</param>
    /// <param name="section">The properties of <see cref="GrpcPoolTransportOptions"/>. Unknown keys are errors.</param>
    public static IServiceCollection AddGrpcPoolTransport(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddGrpcPoolTransport(options => section.Bind(options, static binder => binder.ErrorOnUnknownConfiguration = true));
    }

    private static GrpcTransport Create(IServiceProvider provider, string scheme) => new(
        scheme,
        provider.GetRequiredService<IOptions<GrpcPoolTransportOptions>>().Value.ToSettings(provider.GetService<PoolTransportLimits>()),
        provider.GetService<TimeProvider>(),
        provider.GetService<ILoggerFactory>());
}
