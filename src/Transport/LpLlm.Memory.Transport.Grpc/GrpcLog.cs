using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>What the gRPC transport logs: 2200-2299. Access tokens never are. What a client can cause as often as it likes is Debug.</summary>
internal static partial class GrpcLog
{
    [LoggerMessage(2200, LogLevel.Information, "Listening at {EndPoint}")]
    public static partial void Listening(ILogger logger, Uri endPoint);

    [LoggerMessage(2201, LogLevel.Debug, "Connection from {Peer}")]
    public static partial void Connected(ILogger logger, string peer);

    [LoggerMessage(2202, LogLevel.Debug, "Connection from {Peer} ended")]
    public static partial void Disconnected(ILogger logger, string peer);

    [LoggerMessage(2203, LogLevel.Debug, "{Peer} is refused: {Reason}")]
    public static partial void Refused(ILogger logger, string peer, string reason);

    [LoggerMessage(2204, LogLevel.Error, "{Path} of {Peer} failed")]
    public static partial void CallFailed(ILogger logger, Exception exception, string path, string peer);

    [LoggerMessage(2205, LogLevel.Debug, "{Peer} reads no replies: {UnsentBytes} B wait for it, more than the {MaxUnsentBytes} B allowed; disconnected")]
    public static partial void ReadsNothing(ILogger logger, string peer, long unsentBytes, int maxUnsentBytes);

    [LoggerMessage(2206, LogLevel.Debug, "{Peer} does not speak HTTP/2, or not within {Timeout}; disconnected")]
    public static partial void NotHttp2(ILogger logger, string peer, TimeSpan timeout);

    [LoggerMessage(2208, LogLevel.Warning, "Accepting a connection failed; trying again in {Delay}")]
    public static partial void AcceptFailed(ILogger logger, Exception exception, TimeSpan delay);

    [LoggerMessage(2209, LogLevel.Warning, "Only {Connections} connections at a time instead of {Wanted}: the process may have {Files} open files and has {Open}. Raise the limit (LimitNOFILE, ulimit -n)")]
    public static partial void FewerConnections(ILogger logger, int connections, int wanted, ulong files, int open);

    [LoggerMessage(2210, LogLevel.Debug, "Storage client '{ClientId}' of {Peer} has {LengthBytes} B")]
    public static partial void StorageLeased(ILogger logger, string clientId, string peer, long lengthBytes);

    [LoggerMessage(2211, LogLevel.Debug, "Storage client '{ClientId}' gave its memory back")]
    public static partial void StorageFreed(ILogger logger, string clientId);

    [LoggerMessage(2212, LogLevel.Warning, "Storage client '{ClientId}' is gone without giving its memory back; it is taken")]
    public static partial void StorageReclaimed(ILogger logger, string clientId);
}
