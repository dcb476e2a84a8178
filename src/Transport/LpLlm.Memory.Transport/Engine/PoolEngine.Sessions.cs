namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // A session that is neither connected nor holds anything has nothing to come back for: one that connects and leaves in a loop must not use up
    // MaxSessions. A second, so that a withdrawal by way of another connection still finds it.
    private static readonly TimeSpan EmptySessionPatience = TimeSpan.FromSeconds(1);

    /// <summary>Opens a session, connected.</summary>
    public PoolSession Open(SessionOptions options) => Change(_ =>
    {
        RefuseIfStoppingUnsynchronized();
        var others = _sessions.Values.Select(other => other.Options).Where(other => !other.HoldsModels).ToList();
        if (!options.HoldsModels && FairShare.FindExceeded(others, options, Settings.MaxSessions) is var (most, whose))
        {
            _refusedRequests++;
            throw EngineFaults.Exhausted(
                ExhaustionCause.Limit,
                $"The server has {most} sessions {whose}, as many as it may.",
                "End other clients, or raise MaxClients.",
                0,
                nameof(Settings.MaxSessions),
                most);
        }

        var session = new PoolSession(_newToken(), options) { Connections = 1 };
        _sessions.Add(session.Token, session);
        TouchUnsynchronized(session);
        return session;
    });

    /// <summary>The session of that token, or null if it never was or is gone.</summary>
    public PoolSession? Find(Token session)
    {
        lock (_lock)
        {
            return _sessions.GetValueOrDefault(session);
        }
    }

    /// <summary>
    /// Connects a session again. The process must be the one it was opened by, where both are known: else it is not found.
    /// </summary>
    public IReadOnlyList<LeaseGrant> Resume(PoolSession session, SessionOptions options) => Change(after =>
    {
        RequireUnsynchronized(session);
        if (Differ(session.Options.UserId, options.UserId) || Differ(session.Options.ProcessId, options.ProcessId))
        {
            throw EngineFaults.NotFound("session");
        }

        session.Connections++;
        _events.Add("resumed", 0, session.ChargedBytes, $"Client '{session.Options.ClientName}' is connected again.");
        return session.Leases.OrderBy(lease => lease.Created).Select(lease => GrantUnsynchronized(session, lease, lease.Slots, after)).ToList();
    });

    /// <summary>A connection of the session ended. With the last one its waiting requests are cancelled and its leases detached.</summary>
    public void Disconnect(PoolSession session) => Change(after =>
    {
        if (session.HasEnded || session.Connections == 0 || --session.Connections > 0)
        {
            return;
        }

        session.LastSign = _clock.Now;
        ArmUnsynchronized(_clock.After(PatienceUnsynchronized(session)));
        EndRequestsUnsynchronized(session, "The client has disconnected.", after);
        EndWatchUnsynchronized(session, after);
        _events.Add("detached", 0, session.ChargedBytes, $"Client '{session.Options.ClientName}' has lost its connections.");
        PumpUnsynchronized(after);
    });

    /// <summary>The kernel says that the session's process is gone: all it held goes back, after the quarantine.</summary>
    public void Exited(PoolSession session) => Change(after =>
    {
        if (session.HasExited || _isDisposed)
        {
            return;
        }

        session.HasExited = true;
        var exposures = session.Exposures.ToList();
        session.Exposures.Clear();
        foreach (var slot in exposures)
        {
            slot.Exposed.Remove(session);
            slot.IsDirty = true;
            slot.QuarantineEnd = _clock.After(Settings.QuarantineTime);
        }

        EndSessionUnsynchronized(session, "exited", after);
        SignalIfOverUnsynchronized(session, after);
        exposures.ForEach(slot => ReconsiderUnsynchronized(slot, after));
        PumpUnsynchronized(after);
    });

    /// <summary>The client says goodbye: it has unmapped everything.</summary>
    public void Close(PoolSession session) => Change(after =>
    {
        EndSessionUnsynchronized(session, "closed", after);
        session.Exposures.ToList().ForEach(slot => ReconsiderUnsynchronized(slot, after));
        PumpUnsynchronized(after);
    });

    /// <summary>A sign of life. Every other call of the session is one too.</summary>
    public void Renew(PoolSession session) => Change(_ => RequireUnsynchronized(session));

    private static bool Differ<T>(T? first, T? second)
        where T : struct, IEquatable<T> => first is { } one && second is { } other && !one.Equals(other);

    private void RequireUnsynchronized(PoolSession session)
    {
        if (_isDisposed)
        {
            throw EngineFaults.Stopping();
        }

        if (_sessions.GetValueOrDefault(session.Token) != session)
        {
            throw EngineFaults.NotFound("session");
        }

        TouchUnsynchronized(session);
    }

    private void TouchUnsynchronized(PoolSession session)
    {
        session.LastSign = _clock.Now;
        if (!session.Options.IsWatched)
        {
            ArmUnsynchronized(_clock.After(Settings.SessionTimeout));
        }
    }

    private TimeSpan PatienceUnsynchronized(PoolSession session) =>
        session is { Connections: 0, Leases.Count: 0 } && Settings.SessionTimeout > EmptySessionPatience ? EmptySessionPatience : Settings.SessionTimeout;

    private void ExpireSessionsUnsynchronized(Deferred after)
    {
        // A watched session without leases and connections is of no use: a client that connects anew each time must not use up MaxSessions.
        foreach (var session in _sessions.Values
            .Where(session => !session.Options.IsWatched || session is { Connections: 0, Leases.Count: 0 })
            .ToList())
        {
            var end = _clock.Add(session.LastSign, PatienceUnsynchronized(session));
            if (end > _clock.Now)
            {
                ArmUnsynchronized(end);
                continue;
            }

            // It may still be alive and in the right: only its memory's last holder frees the pages.
            foreach (var slot in session.Leases.SelectMany(lease => lease.Slots).Where(slot => slot.Users.Contains(session)))
            {
                slot.IsTainted = true;
            }

            EndSessionUnsynchronized(session, "expired", after);
            session.Exposures.ToList().ForEach(slot => ReconsiderUnsynchronized(slot, after));
        }
    }

    private void EndSessionUnsynchronized(PoolSession session, string how, Deferred after)
    {
        if (_sessions.GetValueOrDefault(session.Token) != session)
        {
            return;
        }

        _sessions.Remove(session.Token);
        session.HasEnded = true;
        session.Connections = 0;
        var (leases, bytes) = (session.Leases.Count, session.ChargedBytes);
        EndRequestsUnsynchronized(session, $"The client has {how}.", after);
        EndWatchUnsynchronized(session, after);
        var isClosed = how == "closed";
        foreach (var lease in session.Leases.ToList())
        {
            if (!isClosed)
            {
                lease.Slots.Where(slot => slot.Users.Contains(session)).ToList()
                    .ForEach(slot => slot.QuarantineEnd = _clock.After(Settings.QuarantineTime));
                _reclaimedLeases++;
            }

            LetGoUnsynchronized(session, lease, isClosed ? "released" : "reclaimed", after);
        }

        _events.Add(how, 0, bytes, $"Client '{session.Options.ClientName}' has {how}.");
        if (!isClosed && leases > 0)
        {
            after.Add(() => TransportLog.SessionReclaimed(_logger, session.Options.ClientName, session.Options.ProcessId, how, leases, bytes));
        }

        SignalIfOverUnsynchronized(session, after);
    }

    private static void SignalIfOverUnsynchronized(PoolSession session, Deferred after)
    {
        if (session is { HasEnded: true, Exposures.Count: 0 })
        {
            after.Add(session.Over.Cancel);
        }
    }
}
