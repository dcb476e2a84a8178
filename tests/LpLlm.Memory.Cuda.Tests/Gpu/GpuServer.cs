using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>A pool server of this process, which knows the machine's devices.</summary>
internal sealed class GpuServer : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lpllm-cuda-");
    private readonly IHost _host;

    private GpuServer(long capacityBytes)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddCudaHostMemory();
        builder.Services.AddPoolServer(options =>
        {
            options.CapacityBytes = capacityBytes;
            options.EndPoints.Add(EndPoint);
        });
        _host = builder.Build();
    }

    public string EndPoint => $"pipe://{_folder.FullName}/pool.sock";

    public static async Task<GpuServer> StartAsync(long capacityBytes)
    {
        var server = new GpuServer(capacityBytes);
        await server._host.StartAsync().DefaultTimeout();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync().DefaultTimeout();
        _host.Dispose();
        _folder.Delete(recursive: true);
    }
}
