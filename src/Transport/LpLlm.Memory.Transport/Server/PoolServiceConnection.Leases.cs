using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Memory: taking, joining and giving it back.</summary>
internal sealed partial class PoolServiceConnection
{
    private async ValueTask<PoolMessage> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken)
    {
        var options = new AcquireOptions
        {
            LengthBytes = Requests.Length(request.LengthBytes),
            RequestId = Requests.Token(request.RequestId, "request_id"),
            Priority = Requests.Priority(request.Priority),
            Timeout = Requests.Wait(request.TimeoutMs, engine.Settings.MaxWait),
            SingleSegment = request.SingleSegment,
            Name = Requests.Text(request.Name, "name"),
        };
        return Grant(await engine.AcquireAsync(SessionOf(request.Session), options, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<PoolMessage> GrowAsync(GrowRequest request, CancellationToken cancellationToken)
    {
        var options = new AcquireOptions
        {
            LengthBytes = Requests.Length(request.LengthBytes),
            RequestId = Requests.Token(request.RequestId, "request_id"),
            Priority = Requests.Priority(request.Priority),
            Timeout = Requests.Wait(request.TimeoutMs, engine.Settings.MaxWait),
        };
        return Grant(await engine.GrowAsync(SessionOf(request.Session), request.LeaseId, options, cancellationToken).ConfigureAwait(false));
    }

    private PoolMessage Shrink(ShrinkRequest request)
    {
        var session = SessionOf(request.Session);
        Requests.Count(request.SegmentIds.Count, "segment_ids", engine.Settings.MaxSegmentsPerLease);
        engine.Shrink(session, request.LeaseId, request.SegmentIds);
        return Reply(new ShrinkReply());
    }

    private PoolMessage Withdraw(WithdrawRequest request)
    {
        var id = Requests.Token(request.RequestId, "request_id");
        return Reply(new WithdrawReply { Undone = engine.Withdraw(SessionOf(request.Session), id) });
    }

    private PoolMessage Attach(AttachRequest request)
    {
        var token = Requests.Token(request.LeaseToken, "lease_token");
        return Grant(engine.Attach(SessionOf(request.Session), token));
    }

    private async ValueTask<PoolMessage> RestoreAsync(RestoreRequest request, PoolMessage message, CancellationToken cancellationToken)
    {
        var session = SessionOf(request.Session);
        var token = Requests.Token(request.LeaseToken, "lease_token");
        var name = Requests.Text(request.Name, "name");
        Requests.Count(request.SegmentLengths.Count, "segment_lengths", engine.Settings.MaxSegmentsPerLease);
        if (!peer.PassesFiles)
        {
            throw new PoolFaultException(
                PoolFaultCode.FailedPrecondition, "Memory can be presented again only where descriptors travel: over a pipe, not over gRPC.");
        }

        if (message.Files.Count != request.SegmentLengths.Count)
        {
            throw FaultCodec.Invalid($"{request.SegmentLengths.Count} segment lengths came with {message.Files.Count} descriptors: there is one for each.");
        }

        foreach (var length in request.SegmentLengths)
        {
            Requests.SegmentLength(length);
        }

        var segments = new List<(SafeFileHandle, long)>(request.SegmentLengths.Count);
        segments.AddRange(message.TakeFiles().Zip(request.SegmentLengths));
        return Grant(await engine.RestoreAsync(session, token, name, segments, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>The reply holds the grant, and so the descriptors open, until the transport has duplicated them.</summary>
    private PoolMessage Grant(LeaseGrant grant) =>
        Grant(grant, static (grant, withPaths) => new LeaseReply { Lease = Replies.Lease(grant, withPaths) });

    private PoolMessage Grant(LeaseGrant grant, Func<LeaseGrant, bool, IMessage> describe)
    {
        try
        {
            var files = grant.Segments.Select(granted => granted.Segment.File).OfType<SafeFileHandle>().ToArray();
            var passesFiles = peer.PassesFiles && files.Length == grant.Segments.Count;
            var reply = Reply(describe(grant, !passesFiles));
            return new PoolMessage(reply.Payload, passesFiles ? files : []) { Hold = grant };
        }
        catch
        {
            grant.Dispose();
            throw;
        }
    }
}
