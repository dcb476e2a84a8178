using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport;

/// <summary>
/// All log messages of this assembly; ids 2000 to 2099, never renumbered. Tokens are secrets and never among the values. What a client can cause as
/// often as it likes is Debug: a slow console would hold up the server for all.
/// </summary>
internal static partial class TransportLog
{
    [LoggerMessage(2000, LogLevel.Information, "Client '{Client}' (process {ProcessId}) is gone ({Reason}); {Leases} leases with {LengthBytes} B go back")]
    public static partial void SessionReclaimed(ILogger logger, string client, int? processId, string reason, int leases, long lengthBytes);

    [LoggerMessage(2001, LogLevel.Debug, "A request of client '{Client}' for {LengthBytes} B was refused: {Reason}")]
    public static partial void RequestRefused(ILogger logger, string client, long lengthBytes, string reason);

    [LoggerMessage(2002, LogLevel.Error, "A segment of {LengthBytes} B could not be overwritten with zeros; it is discarded instead")]
    public static partial void ClearFailed(ILogger logger, Exception exception, long lengthBytes);

    [LoggerMessage(2003, LogLevel.Error, "A segment of {LengthBytes} B could not be discarded; its bytes count against the capacity until the server ends")]
    public static partial void DiscardFailed(ILogger logger, Exception exception, long lengthBytes);

    [LoggerMessage(2004, LogLevel.Warning, "A segment of {LengthBytes} B could not be made: {Reason}")]
    public static partial void CreateFailed(ILogger logger, Exception? defect, long lengthBytes, string reason);

    [LoggerMessage(2005, LogLevel.Warning, "Lease {LeaseId} of {LengthBytes} B was taken away: {Reason}")]
    public static partial void LeaseRevoked(ILogger logger, ulong leaseId, long lengthBytes, string reason);

    [LoggerMessage(2006, LogLevel.Warning, "The engine ended with {Count} operations on segments still running; the system frees their memory with the process")]
    public static partial void DisposalTimedOut(ILogger logger, int count);

    [LoggerMessage(2007, LogLevel.Information, "{LengthBytes} B of client '{Client}' outlived a restart and are lease {LeaseId}")]
    public static partial void LeaseRestored(ILogger logger, string client, ulong leaseId, long lengthBytes);

    [LoggerMessage(2008, LogLevel.Debug, "Client '{Client}' named a lease or segment that it does not hold; nothing was changed")]
    public static partial void ForeignRelease(ILogger logger, string client);

    [LoggerMessage(2009, LogLevel.Debug, "A segment of {LengthBytes} B was not overwritten with zeros but is discarded: {Reason}")]
    public static partial void ClearRefused(ILogger logger, long lengthBytes, string reason);

    [LoggerMessage(2010, LogLevel.Warning, "A client's memory of device {Uuid} could not be closed; it stays taken until this process ends: {Reason}")]
    public static partial void ImportNotClosed(ILogger logger, string uuid, string reason);

    [LoggerMessage(2011, LogLevel.Error, "{LengthBytes} B that device {Uuid} may still copy stay in use until this process ends: {Reason}")]
    public static partial void CopyLost(ILogger logger, string uuid, long lengthBytes, string reason);

    [LoggerMessage(2050, LogLevel.Error, "A call of {Peer} failed by a defect of the server; the client was told so without details")]
    public static partial void CallFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2051, LogLevel.Error, "The server failed when it accepted {Peer}; the client was refused without details")]
    public static partial void AcceptFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2052, LogLevel.Error, "The server failed when the connection of {Peer} ended")]
    public static partial void CloseFailed(ILogger logger, Exception exception, string peer);

    [LoggerMessage(2053, LogLevel.Warning, "Calls of {Peer} still run {Seconds:0} s after their connection ended; nobody waits for them any longer")]
    public static partial void CallsStuck(ILogger logger, string peer, double seconds);
}
