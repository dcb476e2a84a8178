using LpLlm.Memory.Daemon.Models;
using LpLlm.Memory.Models;
using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>A pool server in this process that also listens on a pipe, and pools of it.</summary>
internal sealed class BenchmarkServer : IAsyncDisposable
{
    private readonly DirectoryInfo _folder;
    private readonly IHost _host;

    private BenchmarkServer(DirectoryInfo folder, IHost host)
    {
        _folder = folder;
        _host = host;
    }

    public string EndPoint => EndPointIn(_folder);

    public EngineStatistics Statistics => _host.Services.GetRequiredService<PoolServer>().Engine!.GetStatistics();

    /// <param name="capacityBytes">All that it has.</param>
    /// <param name="hugePages">What backs it.</param>
    /// <param name="storagePath">Where its models lie; null for a server without a model store.</param>
    /// <param name="hasDevices">Whether it copies between its clients' leases and their device memory.</param>
    public static async Task<BenchmarkServer> StartAsync(
        long capacityBytes, HugePageMode hugePages = HugePageMode.Auto, string? storagePath = null, bool hasDevices = false)
    {
        var folder = Directory.CreateTempSubdirectory("sllm-bench-");
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddPoolServer(options =>
        {
            options.CapacityBytes = capacityBytes;
            options.SegmentBytes = Math.Min(options.SegmentBytes, capacityBytes);
            options.HugePages = hugePages;
            options.AllowPageable = true; // locked or not makes no difference here
            options.QuarantineTime = TimeSpan.Zero;
            options.DrainTimeout = TimeSpan.Zero;
            // Clients send as fast as they can; the limit of requests a second is for servers in the open.
            options.Limits = new PoolTransportLimits { MaxRequestsPerSecond = 10_000_000 };
            options.EndPoints.Add(EndPointIn(folder));
        });
        if (storagePath is not null)
        {
            builder.Services.AddSingleton<IModelServiceFactory>(
                new ModelServiceFactory(new ModelCatalogSettings { StoragePath = storagePath }, NullLoggerFactory.Instance));
        }

        if (hasDevices)
        {
            builder.Services.AddCudaHostMemory();
        }

        var host = builder.Build();
        await host.StartAsync();
        return new BenchmarkServer(folder, host);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        _folder.Delete(recursive: true);
    }

    private static string EndPointIn(DirectoryInfo folder) => $"pipe://{folder.FullName}/pool.sock";
}
