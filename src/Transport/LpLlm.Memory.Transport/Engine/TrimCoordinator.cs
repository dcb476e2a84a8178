namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// The balloon: asks clients to give back what is idle before anybody is refused. A client is asked again only when it has given something back
/// or its patience is over. Guarded by the engine's lock.
/// </summary>
internal sealed class TrimCoordinator(TimeSpan patience, EngineClock clock)
{
    public long Requests { get; private set; }

    /// <summary>Asks all who have memory, listen, and are not the asker.</summary>
    /// <returns>When the last answer is due, or null if nobody could be asked.</returns>
    public long? Ask(IEnumerable<PoolSession> sessions, PoolSession asker, long wantedBytes, EventLog events, Deferred after)
    {
        // Without patience there is no answer to wait for.
        long? due = null;
        if (patience <= TimeSpan.Zero)
        {
            return due;
        }

        foreach (var session in sessions)
        {
            if (session == asker || session.Watch is not { } watch || !session.Leases.Any(lease => lease.Slots.Any(slot => slot.Users.Contains(session))))
            {
                continue;
            }

            if (session.TrimDue <= clock.Now)
            {
                session.TrimDue = clock.After(patience);
                Requests++;
                events.Add("trim", 0, wantedBytes, $"Client '{session.Options.ClientName}' was asked to give back what is idle.");
                watch.Post(new PoolEvent.Trim(wantedBytes), after);
            }

            due = Math.Max(due ?? 0, session.TrimDue);
        }

        return due;
    }
}
