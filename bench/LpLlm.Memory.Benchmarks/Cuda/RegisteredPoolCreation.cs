using LpLlm.Memory.Benchmarks.Creation;
using LpLlm.Memory.Cuda;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Our pool with default options, registered with the driver.</summary>
internal sealed class RegisteredPoolCreation(string name, HugePageMode hugePages, HostRegistration registration = HostRegistration.Eager) : ICreation
{
    public string Name => name;

    public IDisposable Create(long lengthBytes)
    {
        var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions { Registration = registration });
        var options = new LocalPinnedPoolOptions { CapacityBytes = lengthBytes, InitialBytes = lengthBytes, HugePages = hugePages };
        var pool = PinnedPoolFactory.CreateLocal("bench", options, NullLogger.Instance, pinner);
        try
        {
            pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
            return pool;
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }
}
