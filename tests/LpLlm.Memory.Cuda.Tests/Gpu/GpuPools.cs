using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>A pool whose memory is registered with the machine's driver, and the container that it lives in.</summary>
internal sealed class GpuPools : IAsyncDisposable
{
    private readonly ServiceProvider _provider;

    public GpuPools(
        long capacityBytes, HostRegistration registration = HostRegistration.Eager, HugePageMode hugePages = HugePageMode.Auto, bool shared = false)
    {
        var services = new ServiceCollection();
        services.AddCudaHostMemory(options => options.Registration = registration);
        services.AddLocalPinnedPool(options =>
            (options.CapacityBytes, options.SlabBytes, options.InitialBytes, options.HugePages, options.Shared) =
            (capacityBytes, capacityBytes, capacityBytes, hugePages, shared));
        _provider = services.BuildServiceProvider();
    }

    public IPinnedMemoryPool Pool => _provider.GetRequiredService<IPinnedMemoryPool>();

    public CudaHostPinner Pinner => (CudaHostPinner)_provider.GetRequiredService<IHostPinner>();

    public ValueTask DisposeAsync() => _provider.DisposeAsync();
}
