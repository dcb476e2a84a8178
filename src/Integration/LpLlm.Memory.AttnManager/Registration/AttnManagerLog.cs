using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Attention;

/// <summary>All log messages of this assembly; ids 1200 to 1299, never renumbered.</summary>
internal static partial class AttnManagerLog
{
    [LoggerMessage(1200, LogLevel.Information,
        "Attention uses pool '{PoolName}' ({Capabilities}); KV pages take at most {PoolSize} B of it (null: as much as it gives).")]
    public static partial void PoolChosen(ILogger logger, string poolName, PoolCapabilities capabilities, long? poolSize);
}
