using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport;

/// <summary>All log messages of this assembly; ids 2000 to 2099, never renumbered.</summary>
internal static partial class TransportLog
{
    [LoggerMessage(2050, LogLevel.Error, "A call of {Peer} failed by a defect of the server; the client was told so without details")]
    public static partial void CallFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2051, LogLevel.Error, "The server failed when it accepted {Peer}; the client was refused without details")]
    public static partial void AcceptFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2052, LogLevel.Error, "The server failed when the connection of {Peer} ended")]
    public static partial void CloseFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2053, LogLevel.Warning, "Calls of {Peer} still run {Seconds:0} s after their connection ended; nobody waits for them any longer")]
    public static partial void CallsStuck(ILogger logger, string peer, double seconds);
}
