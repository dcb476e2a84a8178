using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>A lease, as <c>leases --json</c> writes it. The process or user is null where it is not known.</summary>
internal sealed record DaemonLease(
    ulong Id,
    string Name,
    string Client,
    long? ProcessId,
    long? UserId,
    long LengthBytes,
    int Segments,
    int Holders,
    string State,
    double AgeSeconds)
{
    public static DaemonLease Of(LeaseSummary lease) => new(
        lease.Id,
        lease.Name,
        lease.ClientName,
        lease.ProcessId > 0 ? lease.ProcessId : null,
        lease.UserId >= 0 ? lease.UserId : null,
        lease.LengthBytes,
        lease.SegmentCount,
        lease.HolderCount,
        lease.State,
        lease.AgeMs / 1000.0);
}
