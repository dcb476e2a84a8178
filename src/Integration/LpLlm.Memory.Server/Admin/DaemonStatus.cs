using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>A daemon's figures, as <c>status --json</c> writes them.</summary>
internal sealed record DaemonStatus(
    string EndPoint,
    double UptimeSeconds,
    long CapacityBytes,
    long MostPoolBytes,
    long MostModelBytes,
    long LeasedBytes,
    long ModelBytes,
    long IdleBytes,
    long PendingBytes,
    long PeakLeasedBytes,
    int Sessions,
    int Leases,
    int Waiting,
    long TotalLeases,
    long RefusedRequests,
    long TrimRequests,
    long ReclaimedLeases)
{
    public static DaemonStatus Of(Uri endPoint, StatisticsReply reply) => new(
        endPoint.ToString(),
        reply.UptimeMs / 1000.0,
        reply.CapacityBytes,
        reply.MostPoolBytes,
        reply.MostModelBytes,
        reply.LeasedBytes,
        reply.ModelBytes,
        reply.IdleBytes,
        reply.PendingBytes,
        reply.PeakLeasedBytes,
        reply.Sessions,
        reply.Leases,
        reply.Waiting,
        reply.TotalLeases,
        reply.RefusedRequests,
        reply.TrimRequests,
        reply.ReclaimedLeases);
}
