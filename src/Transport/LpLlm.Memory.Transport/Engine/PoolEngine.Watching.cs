using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    /// <summary>What the server wants of the session, until the token fires, the session ends or the engine is disposed. One reader at a time: a new one ends the old.</summary>
    /// <remarks>Begins with what still holds: leases that were taken away and not let go of, and the server's stop. So nothing is lost with a connection.</remarks>
    public IAsyncEnumerable<PoolEvent> WatchAsync(PoolSession session, CancellationToken cancellationToken)
    {
        var watch = Change(after =>
        {
            RequireUnsynchronized(session);
            EndWatchUnsynchronized(session, after);
            session.Watch = new SessionWatch();
            foreach (var lease in session.Leases.Where(lease => lease.RevokeReason is not null))
            {
                session.Watch.Post(new PoolEvent.Revoked(lease.Id, lease.RevokeReason!), after);
            }

            if (_drainGrace is { } grace)
            {
                session.Watch.Post(new PoolEvent.Shutdown(grace), after);
            }

            session.TrimDue = long.MinValue;
            PumpUnsynchronized(after);
            return session.Watch;
        });
        return ReadAsync(session, watch, cancellationToken);
    }

    private static void EndWatchUnsynchronized(PoolSession session, Deferred after)
    {
        session.Watch?.End(after);
        session.Watch = null;
    }

    private async IAsyncEnumerable<PoolEvent> ReadAsync(PoolSession session, SessionWatch watch, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                List<PoolEvent> taken;
                bool hasEnded;
                Task ready;
                lock (_lock)
                {
                    taken = watch.Take();
                    (hasEnded, ready) = (watch.HasEnded, watch.Ready);
                }

                foreach (var message in taken)
                {
                    yield return message;
                }

                if (hasEnded)
                {
                    yield break;
                }

                await ready.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            lock (_lock)
            {
                if (session.Watch == watch)
                {
                    session.Watch = null;
                }
            }
        }
    }
}
