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
                ClientName = options.ClientName.Length > 0 ? options.ClientName : PoolEndPointTransports.DefaultClientName(name),
                CapacityBytes = RangeBytes(settings),
                RequestTimeout = options.RequestTimeout,
                AcquireTimeout = options.AcquireTimeout,
                ReconnectInterval = options.ReconnectInterval,
                Pinning = options.Pinning,
            },
            PoolEndPointTransports.Find(provider, $"Pool '{name}'", options.EndPoint),
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
}
