using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Cuda;

/// <summary>All log messages of this assembly; ids 3000 to 3099, never renumbered.</summary>
internal static partial class CudaLog
{
    [LoggerMessage(3000, LogLevel.Warning, "Host memory is page-locked with mlock only, and no device can be used. {Reason}")]
    public static partial void Unavailable(ILogger logger, string reason);

    [LoggerMessage(3001, LogLevel.Information, "Host memory is registered with CUDA ({Registration}) for {Devices} devices")]
    public static partial void Available(ILogger logger, int devices, HostRegistration registration);
}
