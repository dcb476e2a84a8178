using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Cuda;

/// <summary>Decides once, when the first pool is made, whether memory is registered with CUDA's driver; says so in one warning if it cannot be.</summary>
internal sealed class CudaHostMemory : IDisposable
{
    public CudaHostMemory(CudaRuntime runtime, IOptions<CudaHostMemoryOptions> options, ILoggerFactory? loggers = null)
    {
        var logger = loggers?.CreateLogger("LpLlm.Memory.Cuda") ?? NullLogger.Instance;
        if (runtime.UnavailableReason is { } reason)
        {
            CudaLog.Unavailable(logger, reason);
            return;
        }

        Pinner = new CudaHostPinner(runtime, options.Value);
        CudaLog.Available(logger, runtime.Devices.Count, options.Value.Registration);
    }

    /// <summary>Null without a device.</summary>
    public CudaHostPinner? Pinner { get; }

    public void Dispose() => Pinner?.Dispose();
}
