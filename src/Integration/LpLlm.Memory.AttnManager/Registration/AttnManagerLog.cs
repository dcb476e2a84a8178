using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Attention;

/// <summary>All log messages of this assembly; ids 1200 to 1299, never renumbered.</summary>
internal static partial class AttnManagerLog
{
    [LoggerMessage(1200, LogLevel.Information,
        "Attention uses pool '{PoolName}' ({Capabilities}); KV pages take at most {PoolSize} B of it (null: as much as it gives).")]
    public static partial void PoolChosen(ILogger logger, string poolName, PoolCapabilities capabilities, long? poolSize);

    [LoggerMessage(1201, LogLevel.Warning,
        "Requests on {Device} are copied from and to pool '{PoolName}', whose memory is not registered with a driver: such copies are slow. "
        + "Give the pool a pinner of the device.")]
    public static partial void PoolNotDeviceVisible(ILogger logger, string device, string poolName);
}
