using LpLlm.Memory.Server;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>Pools and their servers in containers of their own, all in this process; gone with this.</summary>
internal sealed class PoolHosts : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly List<ServiceProvider> _providers = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("lpllm-pool-").FullName;

    public string PipeEndPoint => OperatingSystem.IsWindows() ? $"pipe:///{Path.GetFileName(_folder)}" : $"pipe://{_folder}/pool.sock";

    /// <summary>A pool of exactly that capacity in one slab, and a server of 64 MiB for it.</summary>
    public IPinnedMemoryPool CreatePool(long capacityBytes, string endPoint)
    {
        if (endPoint != PoolEndPoint.Embedded && _providers.Count == 0)
        {
            CreateServer(endPoint);
        }

        var provider = Build(services =>
        {
            if (endPoint == PoolEndPoint.Embedded)
            {
                AddServer(services, endPoint);
            }

            services.AddServerPinnedPool("server", o =>
                (o.EndPoint, o.CapacityBytes, o.DisposeTimeout) = (endPoint, capacityBytes, TimeSpan.FromMilliseconds(100)));
        });
        return provider.GetRequiredKeyedService<IPinnedMemoryPool>("server");
    }

    public PoolServer CreateServer(string endPoint)
    {
        var provider = Build(services => AddServer(services, endPoint));
        var server = provider.GetRequiredService<PoolServer>();
        server.StartAsync(CancellationToken.None).DefaultTimeout().GetAwaiter().GetResult();
        return server;
    }

    public ServiceProvider Build(Action<IServiceCollection> register)
    {
        var services = new ServiceCollection();
        register(services);
        var provider = services.BuildServiceProvider();
        _providers.Add(provider);
        return provider;
    }

    public void Dispose()
    {
        foreach (var provider in _providers.AsEnumerable().Reverse())
        {
            provider.DisposeAsync().DefaultTimeout().GetAwaiter().GetResult();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static void AddServer(IServiceCollection services, string endPoint) => services.AddPoolServer(o =>
    {
        (o.CapacityBytes, o.SegmentBytes, o.QuarantineTime) = (64 * MiB, 4 * MiB, TimeSpan.Zero);
        o.EndPoints.Add(endPoint);
    });
}
