using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>All log messages of this assembly; ids 2100 to 2199, never renumbered.</summary>
internal static partial class PipesLog
{
    [LoggerMessage(2100, LogLevel.Warning, "Only {Connections} connections at a time instead of {Wanted}: the process may have {Files} open files and has {Open}. Raise the limit (LimitNOFILE, ulimit -n)")]
    public static partial void FewerConnections(ILogger logger, int connections, int wanted, ulong files, int open);

    [LoggerMessage(2101, LogLevel.Warning, "No connection can be accepted at {EndPoint}; tried again in {Milliseconds:0} ms")]
    public static partial void AcceptFailed(ILogger logger, Exception exception, Uri endPoint, double milliseconds);

    [LoggerMessage(2102, LogLevel.Information, "The connection of {Peer} was closed: {Reason}")]
    public static partial void ConnectionDropped(ILogger logger, string peer, string reason);

    [LoggerMessage(2103, LogLevel.Warning, "A process that connected to {EndPoint} cannot be identified; its connection was closed")]
    public static partial void PeerUnknown(ILogger logger, Exception exception, Uri endPoint);

    [LoggerMessage(2104, LogLevel.Warning, "{Connections} connections did not end within {Seconds:0} s of the listener's disposal; nobody waits for them any longer")]
    public static partial void ConnectionsStuck(ILogger logger, int connections, double seconds);

    [LoggerMessage(2105, LogLevel.Error, "The connection of {Peer} was closed by a defect of the server")]
    public static partial void ConnectionFailed(ILogger logger, Exception exception, string peer);
}
