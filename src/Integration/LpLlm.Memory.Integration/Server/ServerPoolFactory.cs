using LpLlm.Memory.Pooling;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Client;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Server;

/// <summary>Puts a server pool together from its options.</summary>
internal static class ServerPoolFactory
{
    public static ServerPool Create(IServiceProvider provider, string name, ServerPinnedPoolOptions options)
    {
        var time = provider.GetService<TimeProvider>() ?? TimeProvider.System;
        var settings = PinnedPoolSettings.From(
            name, options, options.CapacityBytes, options.InitialBytes, options.SlabBytes, options.ThreadCacheBytes);
        var endPoint = PoolEndPoint.Parse(options.EndPoint);
        var source = new ServerMemorySource(
            new PoolClientOptions
            {
                EndPoint = endPoint,
                ClientName = options.ClientName.Length > 0 ? options.ClientName : DefaultClientName(name),
                CapacityBytes = RangeBytes(settings),
                RequestTimeout = options.RequestTimeout,
                AcquireTimeout = options.AcquireTimeout,
                ReconnectInterval = options.ReconnectInterval,
                Pinning = options.Pinning,
            },
            TransportTo(provider, name, options.EndPoint, endPoint),
            provider.GetService<IHostPinner>(),
            time,
            PoolLogging.CreateLogger(provider, "PoolClient"));
        return new ServerPool(settings, source, options.IdleTrimAfter, time, PoolLogging.CreateLogger(provider, "PinnedPool"));
    }

    /// <summary>Addresses for every slab, each rounded up to the server's granularity.</summary>
    internal static long RangeBytes(PinnedPoolSettings settings)
    {
        var slabs = (settings.CapacityBytes + settings.SlabBytes - 1) / settings.SlabBytes;
        return checked(slabs * PoolProtocol.RoundUp(settings.SlabBytes));
    }

    private static PoolTransport TransportTo(IServiceProvider provider, string name, string text, Uri endPoint)
    {
        var transport = provider.GetRequiredService<PoolTransports>().Get(endPoint);
        if (!PoolEndPoint.IsEmbedded(text))
        {
            return transport;
        }

        return provider.GetService<PoolServer>() is { } server
            ? new EmbeddedTransport(server, transport)
            : throw new InvalidOperationException(
                $"Pool '{name}': EndPoint is '{text}', and this host has no pool server; call AddPoolServer, or name a server's end point.");
    }

    private static string DefaultClientName(string poolName)
    {
        var process = AppDomain.CurrentDomain.FriendlyName; // the program's, where the process is just "dotnet"
        return $"{process[..Math.Min(process.Length, 60)]}/{poolName}";
    }
}
