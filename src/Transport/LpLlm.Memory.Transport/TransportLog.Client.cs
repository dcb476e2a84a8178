using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport;

// 2020 to 2029: the dispatcher; 2030 to 2049: the client.
internal static partial class TransportLog
{
    [LoggerMessage(2020, LogLevel.Debug, "{Peer} was refused: user {UserId} may not use this pool server")]
    public static partial void PeerRefused(ILogger logger, string peer, uint userId);

    [LoggerMessage(2021, LogLevel.Debug, "{Peer} ('{Client}') has session {Session} (resumed: {Resumed})")]
    public static partial void SessionOpened(ILogger logger, string peer, string client, Token session, bool resumed);

    [LoggerMessage(2030, LogLevel.Information, "Connected to pool server {EndPoint}, session {Session} (resumed: {Resumed})")]
    public static partial void Connected(ILogger logger, Uri endPoint, Token session, bool resumed);

    [LoggerMessage(2031, LogLevel.Warning, "The connection to pool server {EndPoint} is lost; memory stays usable, and a new connection is tried. {Reason}")]
    public static partial void ConnectionLost(ILogger logger, Uri endPoint, string reason);

    [LoggerMessage(2032, LogLevel.Debug, "Pool server {EndPoint} cannot be reached; tried again in {Delay}. {Reason}")]
    public static partial void ConnectFailed(ILogger logger, Uri endPoint, TimeSpan delay, string reason);

    [LoggerMessage(2033, LogLevel.Error, "The client of pool server {EndPoint} failed by a defect; it connects anew in {Delay}")]
    public static partial void ClientFailed(ILogger logger, Exception exception, Uri endPoint, TimeSpan delay);

    [LoggerMessage(2034, LogLevel.Warning, "Pool server {EndPoint} no longer knows a lease of {LengthBytes} B; its memory stays usable, new memory comes by a new lease. {Reason}")]
    public static partial void LeaseLost(ILogger logger, Uri endPoint, long lengthBytes, string reason);

    [LoggerMessage(2035, LogLevel.Information, "Pool server {EndPoint} was started anew and has taken over a lease of {LengthBytes} B")]
    public static partial void LeaseTakenOver(ILogger logger, Uri endPoint, long lengthBytes);

    [LoggerMessage(2036, LogLevel.Error, "The handler of trim requests failed")]
    public static partial void TrimFailed(ILogger logger, Exception exception);

    [LoggerMessage(2037, LogLevel.Warning, "Memory could not be pinned in the background; it stays usable without")]
    public static partial void LazyPinFailed(ILogger logger, Exception exception);

    [LoggerMessage(2038, LogLevel.Warning, "Pool server {EndPoint} took a lease of {LengthBytes} B away: {Reason}")]
    public static partial void LeaseTakenAway(ILogger logger, Uri endPoint, long lengthBytes, string reason);

    [LoggerMessage(2039, LogLevel.Information, "Pool server {EndPoint} stops within {Grace}; memory stays usable")]
    public static partial void ServerStops(ILogger logger, Uri endPoint, TimeSpan grace);

    [LoggerMessage(2040, LogLevel.Warning, "Pool server {EndPoint} refused {Method}; what it was to give back stays leased until this process ends")]
    public static partial void GiveBackRefused(ILogger logger, Exception exception, Uri endPoint, PoolMethod method);

    [LoggerMessage(2041, LogLevel.Warning, "{LengthBytes} B of pool server {EndPoint} are still in use or quarantined at disposal; they stay leased until this process ends")]
    public static partial void DisposedInUse(ILogger logger, Uri endPoint, long lengthBytes);
}
