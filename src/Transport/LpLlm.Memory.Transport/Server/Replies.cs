using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Writes what the engine answers as messages.</summary>
internal static class Replies
{
    public static Messages.Lease Lease(LeaseGrant grant, bool withPaths)
    {
        var lease = new Messages.Lease { Id = grant.LeaseId, Token = ByteString.CopyFrom(grant.Token.ToBytes()) };
        lease.Segments.AddRange(grant.Segments.Select(granted => Segment(granted, withPaths)));
        return lease;
    }

    public static Messages.Segment Segment(GrantedSegment granted, bool withPath) => new()
    {
        Id = granted.Id,
        LengthBytes = granted.Segment.LengthBytes,
        Path = withPath ? granted.Segment.Path : "",
        Inode = granted.Segment.Inode,
        PageLocked = granted.Segment.IsPageLocked,
    };

    public static WatchEvent Event(PoolEvent happened) => happened switch
    {
        PoolEvent.Trim trim => new WatchEvent { Trim = new TrimRequest { LengthBytes = trim.LengthBytes } },
        PoolEvent.Revoked revoked => new WatchEvent { Revoked = new Revocation { LeaseId = revoked.LeaseId, Reason = revoked.Reason } },
        PoolEvent.Shutdown shutdown => new WatchEvent { Shutdown = new ShutdownNotice { GraceMs = Milliseconds(shutdown.Grace) } },
        _ => throw new InvalidOperationException($"There is no message for {happened}."),
    };

    public static ListReply List(IReadOnlyList<Engine.LeaseSummary> leases, int maxMessageBytes)
    {
        var shown = MessageRoom.Take(leases.Select(Summary), maxMessageBytes);
        return new ListReply { Leases = { shown }, Omitted = leases.Count - shown.Count };
    }

    public static Messages.LeaseSummary Summary(Engine.LeaseSummary lease) => new()
    {
        Id = lease.Id,
        Name = lease.Name,
        ClientName = lease.Owner.ClientName,
        ProcessId = lease.Owner.ProcessId ?? 0,
        UserId = lease.Owner.UserId ?? -1L,
        LengthBytes = lease.LengthBytes,
        SegmentCount = lease.SegmentCount,
        HolderCount = lease.HolderCount,
        State = StateName(lease.State),
        AgeMs = Milliseconds(lease.Age),
    };

    public static Messages.EventRecord Event(Engine.EventRecord record, TimeSpan age) => new()
    {
        Sequence = record.Sequence,
        AgeMs = Milliseconds(age),
        Kind = record.Kind,
        LeaseId = record.LeaseId,
        LengthBytes = record.LengthBytes,
        Text = record.Text,
    };

    public static StatisticsReply Statistics(in EngineStatistics figures, PoolEngineSettings settings) => new()
    {
        MostPoolBytes = settings.MaxPoolBytes,
        MostModelBytes = settings.MaxModelBytes,
        CapacityBytes = figures.CapacityBytes,
        ModelBytes = figures.ModelBytes,
        LeasedBytes = figures.LeasedBytes,
        IdleBytes = figures.IdleBytes,
        PendingBytes = figures.PendingBytes,
        PeakLeasedBytes = figures.PeakLeasedBytes,
        Sessions = figures.Sessions,
        Leases = figures.Leases,
        Waiting = figures.Waiting,
        TotalLeases = figures.TotalLeases,
        RefusedRequests = figures.RefusedRequests,
        TrimRequests = figures.TrimRequests,
        ReclaimedLeases = figures.ReclaimedLeases,
        UptimeMs = Milliseconds(figures.Uptime),
    };

    private static long Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;

    private static string StateName(LeaseState state) => state switch
    {
        LeaseState.Leased => "leased",
        LeaseState.Detached => "detached",
        LeaseState.Revoked => "revoked",
        LeaseState.Quarantined => "quarantined",
        _ => throw new InvalidOperationException($"There is no name for {state}."),
    };
}
