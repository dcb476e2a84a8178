using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>All log messages of this assembly; ids 1100 to 1199, never renumbered.</summary>
internal static partial class IntegrationLog
{
    [LoggerMessage(1100, LogLevel.Information, "Pinning memory for pool '{Pool}': {Ready} of {Total} ({Percent} %)")]
    public static partial void Pinning(ILogger logger, string pool, string ready, string total, long percent);

    [LoggerMessage(1101, LogLevel.Information, "Pool '{Pool}' is open with {Reserved} after {Milliseconds:0} ms")]
    public static partial void PoolOpened(ILogger logger, string pool, string reserved, double milliseconds);
}
