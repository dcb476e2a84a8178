using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Pipes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>What a client has of a server: a pool, as an application registers it, or the source beneath one.</summary>
internal static class ServingClient
{
    /// <summary>A host with one pool of one slab, which it has taken already.</summary>
    public static Task<IHost> OpenPoolAsync(string endPoint, long bytes) => OpenAsync(services => services.AddServerPinnedPool(options =>
        (options.EndPoint, options.CapacityBytes, options.SlabBytes, options.InitialBytes) = (endPoint, bytes, bytes, bytes)));

    /// <summary>The same over this machine's memory.</summary>
    public static Task<IHost> OpenLocalPoolAsync(long bytes) => OpenAsync(services => services.AddLocalPinnedPool(options =>
        (options.CapacityBytes, options.SlabBytes, options.InitialBytes, options.AllowPageable) = (bytes, bytes, bytes, true)));

    public static ServerMemorySource OpenSource(
        string endPoint, long capacityBytes, IHostPinner? pinner = null, SegmentPinning pinning = SegmentPinning.None)
    {
        var options = new PoolClientOptions
        {
            EndPoint = new Uri(endPoint),
            CapacityBytes = capacityBytes,
            Pinning = pinning,
            AcquireTimeout = TimeSpan.FromMinutes(2), // small pages of memory that this machine's host has to find first take 2 s a GiB
        };
        return new ServerMemorySource(options, new PipeTransport(), pinner, TimeProvider.System, NullLogger.Instance);
    }

    private static async Task<IHost> OpenAsync(Action<IServiceCollection> register)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        register(builder.Services);
        var host = builder.Build();
        await host.StartAsync();
        return host;
    }
}
