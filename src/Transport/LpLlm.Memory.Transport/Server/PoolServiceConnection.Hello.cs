using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Opening, resuming and ending the session.</summary>
internal sealed partial class PoolServiceConnection
{
    private PoolMessage Hello(HelloRequest request)
    {
        Check(request);
        var options = new SessionOptions
        {
            ClientName = Requests.Text(request.ClientName, "client_name"),
            ProcessId = peer.ProcessId,
            UserId = peer.UserId,
            IsWatched = peer.Exited is not null,
            IsThisProcess = peer.IsThisProcess,
            IsPrivileged = IsAdministrator || peer.IsThisProcess,
        };
        IReadOnlyList<LeaseGrant>? resumed = null;
        var session = request.Session.IsEmpty ? null : TryResume(Requests.Token(request.Session, "session"), options, out resumed);
        try
        {
            EnsureFree(session);
            session ??= engine.Open(options);
            Adopt(session);
            TransportLog.SessionOpened(logger, peer.Description, options.ClientName, session.Token, resumed is not null);
            return Reply(Welcome(session, resumed));
        }
        finally
        {
            foreach (var lease in resumed ?? [])
            {
                lease.Dispose();
            }
        }
    }

    private HelloReply Welcome(PoolSession session, IReadOnlyList<LeaseGrant>? resumed)
    {
        var settings = engine.Settings;
        var reply = new HelloReply
        {
            Version = PoolProtocol.Version,
            Epoch = ByteString.CopyFrom(engine.Epoch.ToBytes()),
            Session = ByteString.CopyFrom(session.Token.ToBytes()),
            Resumed = resumed is not null,
            RenewIntervalMs = (long)policy.RenewInterval.TotalMilliseconds,
            SessionTimeoutMs = (long)settings.SessionTimeout.TotalMilliseconds,
            SegmentBytes = settings.SegmentBytes,
            CapacityBytes = settings.MaxPoolBytes,
            MaxLeaseBytes = settings.MaxLeaseBytes,
            Restores = peer.PassesFiles,
        };
        reply.Leases.AddRange((resumed ?? []).Select(lease => Replies.Lease(lease, withPaths: false)));
        return reply;
    }

    private static void Check(HelloRequest request)
    {
        if (request.MinVersion > request.MaxVersion)
        {
            throw FaultCodec.Invalid($"min_version {request.MinVersion} is above max_version {request.MaxVersion}.");
        }

        if (request.MinVersion > PoolProtocol.Version || request.MaxVersion < PoolProtocol.Version)
        {
            throw new PoolFaultException(
                PoolFaultCode.FailedPrecondition,
                $"The client speaks versions {request.MinVersion} to {request.MaxVersion}, this server speaks {PoolProtocol.Version} only: "
                + "update the older of the two.");
        }

        if (request.RequiredFeatures.Count > 0)
        {
            var names = request.RequiredFeatures.Take(8).Select(name => $"'{name[..Math.Min(name.Length, 64)]}'");
            throw new PoolFaultException(
                PoolFaultCode.FailedPrecondition,
                $"This server does not have the required features {string.Join(", ", names)}{(request.RequiredFeatures.Count > 8 ? ", …" : "")}: update the server.");
        }
    }

    /// <summary>Null where the session is gone, or another process's: then the client gets a new one.</summary>
    private PoolSession? TryResume(Token token, SessionOptions options, out IReadOnlyList<LeaseGrant>? leases)
    {
        leases = null;
        if (engine.Find(token) is not { } session)
        {
            return null;
        }

        try
        {
            leases = engine.Resume(session, options);
            return session;
        }
        catch (PoolFaultException fault) when (fault.Code == PoolFaultCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>One session a connection: else one client could use up all that the server allows.</summary>
    private void EnsureFree(PoolSession? wanted)
    {
        if (CurrentSession() is { } current && current != wanted && engine.Find(current.Token) == current)
        {
            if (wanted is not null)
            {
                engine.Disconnect(wanted);
            }

            throw new PoolFaultException(PoolFaultCode.FailedPrecondition, "This connection has a session: open another connection for another session.");
        }
    }

    private void Adopt(PoolSession session)
    {
        PoolSession? surplus;
        bool closed;
        lock (_gate)
        {
            closed = _closed;
            surplus = closed || _session == session ? session : _session; // the engine counts each hello as a connection
            _session = closed ? null : session;
        }

        if (surplus is not null)
        {
            engine.Disconnect(surplus);
        }

        if (closed)
        {
            throw new PoolFaultException(PoolFaultCode.Cancelled, "The connection has ended.");
        }

        if (surplus != session)
        {
            WatchProcess(session);
        }
    }

    /// <summary>Not for longer than the session matters: a process that says hello and goodbye for ever must not fill the server with what is gone.</summary>
    private void WatchProcess(PoolSession session) =>
        _ = peer.Exited?.ContinueWith(
            static (_, state) =>
            {
                var (engine, session) = ((PoolEngine, PoolSession))state!;
                engine.Exited(session);
            },
            (engine, session),
            session.Over.Token,
            TaskContinuationOptions.OnlyOnRanToCompletion,
            TaskScheduler.Default);

    private PoolMessage Renew(RenewRequest request)
    {
        engine.Renew(SessionOf(request.Session));
        return Reply(new RenewReply());
    }

    private PoolMessage Release(ReleaseRequest request)
    {
        var session = SessionOf(request.Session);
        if (!request.Goodbye)
        {
            engine.Release(session, request.LeaseId);
        }
        else
        {
            engine.Close(session);
        }

        return Reply(new ReleaseReply());
    }
}
