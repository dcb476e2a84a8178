using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Loopback;
using LpLlm.Memory.Transport.Pipes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace LpLlm.Memory.Server;

/// <summary>The transports that are registered, by their schemes.</summary>
internal sealed class PoolTransports(IEnumerable<PoolTransport> transports)
{
    /// <summary>Registers the transports that need no package of their own.</summary>
    public static void Add(IServiceCollection services)
    {
        services.TryAddSingleton<PoolTransports>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<PoolTransport, LoopbackTransport>(CreateLoopback));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<PoolTransport, PipeTransport>(CreatePipe));
    }

    /// <exception cref="InvalidOperationException">No transport has that scheme.</exception>
    public PoolTransport Get(Uri endPoint) =>
        transports.LastOrDefault(transport => transport.Scheme.Equals(endPoint.Scheme, StringComparison.OrdinalIgnoreCase))
        ?? throw new InvalidOperationException(
            $"No transport is registered for '{endPoint.OriginalString}'; there are {string.Join(", ", transports.Select(transport => $"'{transport.Scheme}'"))}. "
            + "AddGrpcPoolTransport (package LpLlm.Memory.Transport.Grpc) adds 'grpc' and 'grpc+unix'.");

    private static LoopbackTransport CreateLoopback(IServiceProvider provider) =>
        new(limits: null, provider.GetService<TimeProvider>(), PoolLogging.CreateLogger(provider, "Loopback"));

    private static PipeTransport CreatePipe(IServiceProvider provider) => new(
        provider.GetService<PoolTransportLimits>(), provider.GetService<TimeProvider>(), PoolLogging.CreateLogger(provider, "Pipe"));
}
