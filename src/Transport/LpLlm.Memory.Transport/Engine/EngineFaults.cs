using Google.Protobuf;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>The engine's answers that are errors.</summary>
internal static class EngineFaults
{
    public static PoolFaultException NotFound(string what) =>
        new(PoolFaultCode.NotFound, $"There is no such {what}, or it is not yours. It may have been released, or its session has ended.");

    public static PoolFaultException Invalid(string text) => new(PoolFaultCode.InvalidArgument, text);

    public static PoolFaultException Stopping() =>
        new(PoolFaultCode.Unavailable, "The server is stopping. Leases stay usable; ask again when it has started anew.");

    public static PoolFaultException Revoked(Lease lease) =>
        new(PoolFaultCode.Aborted, $"Lease {lease.Id} was taken away: {lease.RevokeReason}. Release it and acquire another.");

    public static PoolFaultException Cancelled(string text) => new(PoolFaultCode.Cancelled, text);

    /// <summary>No memory, or a limit in the way.</summary>
    public static PoolFaultException Exhausted(
        ExhaustionCause cause, string reason, string remedy, long requestedBytes, string limitName = "", long limitBytes = 0, long freeBytes = 0)
    {
        var data = new ErrorData
        {
            Cause = cause.ToString(),
            RequestedBytes = requestedBytes,
            LimitName = limitName,
            LimitBytes = limitBytes,
            FreeBytes = freeBytes,
            Remedy = remedy,
        };
        return new PoolFaultException(PoolFaultCode.ResourceExhausted, $"{reason} {remedy}", data.ToByteArray());
    }
}
