using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Looking at leases and taking them away: all of them for the server's own user and root, else the session's own.</summary>
internal sealed partial class PoolServiceConnection
{
    private PoolMessage List(ListRequest request) => Reply(Replies.List(engine.List(Holder(request.Session)), policy.MaxMessageBytes));

    private PoolMessage Inspect(InspectRequest request)
    {
        var (summary, segments) = engine.Inspect(request.LeaseId, Holder(request.Session));
        var reply = new InspectReply { Summary = Replies.Summary(summary) };
        reply.Segments.AddRange(segments.Select(granted => Replies.Segment(granted, withPath: false)));
        reply.Events.AddRange(engine.GetEvents(request.LeaseId).Select(record => Replies.Event(record, time.GetElapsedTime(record.Timestamp))));
        return Reply(reply);
    }

    private PoolMessage Revoke(RevokeRequest request)
    {
        var reason = Requests.Text(request.Reason, "reason");
        engine.Revoke(request.LeaseId, reason, Holder(request.Session));
        return Reply(new RevokeReply());
    }

    private PoolMessage Statistics(StatisticsRequest request)
    {
        var holder = Holder(request.Session);
        if (request.WithEvents && holder is not null)
        {
            throw new PoolFaultException(
                PoolFaultCode.PermissionDenied, "Only root and the server's own user see its events: run as one of them, or ask without events.");
        }

        var reply = Replies.Statistics(engine.GetStatistics(), engine.Settings);
        if (request.WithEvents)
        {
            reply.Events.AddRange(engine.GetEvents().Select(record => Replies.Event(record, time.GetElapsedTime(record.Timestamp))));
        }

        return Reply(reply);
    }

    /// <summary>Whose leases the caller may see: null for everybody's.</summary>
    private PoolSession? Holder(ByteString session)
    {
        var caller = SessionOf(session);
        return IsAdministrator ? null : caller;
    }
}
