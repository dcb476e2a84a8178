using Microsoft.Extensions.Logging;

namespace LpLlm.Memory;

/// <summary>All log messages of this assembly; ids 1100 to 1199, never renumbered.</summary>
internal static partial class IntegrationLog
{
    [LoggerMessage(1100, LogLevel.Information, "Pinning memory for pool '{Pool}': {Ready} of {Total} ({Percent} %)")]
    public static partial void Pinning(ILogger logger, string pool, string ready, string total, long percent);

    [LoggerMessage(1101, LogLevel.Information, "Pool '{Pool}' is open with {Reserved} after {Milliseconds:0} ms")]
    public static partial void PoolOpened(ILogger logger, string pool, string reserved, double milliseconds);

    [LoggerMessage(1110, LogLevel.Information, "Pool server with {Capacity}, {Warm} of it kept warm, listens at {EndPoints} after {Milliseconds:0} ms")]
    public static partial void ServerStarted(ILogger logger, string capacity, string warm, string endPoints, double milliseconds);

    [LoggerMessage(1115, LogLevel.Warning, "The {Warm} that are to be kept warm cannot be had now; the server goes on, and tries again. {Reason}")]
    public static partial void WarmMemoryMissing(ILogger logger, string warm, string reason);

    [LoggerMessage(1111, LogLevel.Information, "Pool server has stopped listening")]
    public static partial void ServerStopped(ILogger logger);

    [LoggerMessage(1112, LogLevel.Warning, "Clients of the pool server did not go within {Timeout}; they keep what they have mapped, {Leases} leases")]
    public static partial void DrainTimedOut(ILogger logger, TimeSpan timeout, int leases);

    [LoggerMessage(1113, LogLevel.Debug, "Pool '{Pool}' gave {Bytes} back to its server")]
    public static partial void Trimmed(ILogger logger, string pool, string bytes);

    [LoggerMessage(1114, LogLevel.Error, "Pool '{Pool}' could not give memory back to its server")]
    public static partial void TrimFailed(ILogger logger, Exception failure, string pool);
}
