using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Models;

/// <summary>Log messages of replicas; ids 1350 to 1369, never renumbered.</summary>
internal static partial class ReplicaLog
{
    [LoggerMessage(1350, LogLevel.Warning, "A copy to a device failed. {Problem}")]
    public static partial void Failed(ILogger logger, string problem, Exception? failure);

    [LoggerMessage(1351, LogLevel.Error, "Copies to devices have not ended {Seconds:0} s after they were stopped; their memory is left to the devices")]
    public static partial void Stuck(ILogger logger, double seconds);
}
