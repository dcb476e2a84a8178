using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Leases of the model store. To other sessions they are given to read: the store has written them by then, and nobody can any more, neither
/// through the descriptor nor by opening it anew.
/// </summary>
internal sealed partial class PoolEngine
{
    // Far more than a process has models; each is some 100 B here.
    private const int MaxUsesPerClient = 1024;

    /// <summary>Gives a session a model's memory to read.</summary>
    /// <param name="session">Who reads.</param>
    /// <param name="openId">The same id opens once, so that a retry after a lost reply is safe.</param>
    /// <param name="use">Of the store's lease. Taken over: disposed when the session closes the model or ends, has it open already, or the call fails.</param>
    /// <exception cref="PoolFaultException">The session is gone, has closed it already or has another model open under that id, or there is no such lease.</exception>
    /// <exception cref="MemorySourceException">The system cannot make memory read-only.</exception>
    public LeaseGrant OpenModel(PoolSession session, Token openId, ServedModel use)
    {
        try
        {
            foreach (var segment in Change(_ => BeginOpenUnsynchronized(session, use)))
            {
                segment.Seal(readOnly: true);
            }

            return Change(after => OpenUnsynchronized(session, openId, use, after));
        }
        catch
        {
            use.Dispose();
            throw;
        }
    }

    /// <summary>What was opened under that id; null if nothing is.</summary>
    public ServedModel? FindUse(PoolSession session, Token openId)
    {
        lock (_lock)
        {
            return session.Uses.GetValueOrDefault(openId);
        }
    }

    /// <summary>The session has unmapped the model, or will not: also what is still being opened under that id is closed.</summary>
    public void CloseModel(PoolSession session, Token openId) => Change(after =>
    {
        RequireUnsynchronized(session);
        NoteWithdrawnUnsynchronized(session, openId);
        if (!session.Uses.Remove(openId, out var use))
        {
            return;
        }

        after.Add(use.Dispose);
        if (session.Uses.Values.All(other => other.LeaseId != use.LeaseId) && _leases.Find(use.LeaseId) is { } lease)
        {
            LetGoUnsynchronized(session, lease, "closed", after);
            PumpUnsynchronized(after);
        }
    });

    private List<Segment> BeginOpenUnsynchronized(PoolSession session, ServedModel use)
    {
        var slots = RequireModelUnsynchronized(session, use).Slots;
        slots.ForEach(slot => slot.IsReadOnly = true);
        return slots.ConvertAll(slot => slot.Segment);
    }

    private LeaseGrant OpenUnsynchronized(PoolSession session, Token openId, ServedModel use, Deferred after)
    {
        var lease = RequireModelUnsynchronized(session, use);
        if (session.Withdrawn.Contains(openId))
        {
            throw EngineFaults.Cancelled("The model was closed before it was open.");
        }

        if (!session.Uses.TryAdd(openId, use))
        {
            if (session.Uses[openId].LeaseId != use.LeaseId)
            {
                throw new PoolFaultException(PoolFaultCode.AlreadyExists, "This id was used to open another model. Each needs a new one.");
            }

            after.Add(use.Dispose);
        }

        HoldUnsynchronized(session, lease);
        foreach (var slot in lease.Slots)
        {
            slot.Users.Add(session);
            slot.Expose(session);
        }

        _events.Add("opened", lease.Id, lease.LengthBytes, $"By client '{session.Options.ClientName}'.");
        return GrantUnsynchronized(session, lease, lease.Slots, after);
    }

    private Lease RequireModelUnsynchronized(PoolSession session, ServedModel use)
    {
        RequireUnsynchronized(session);
        RefuseIfStoppingUnsynchronized();
        if (_leases.Find(use.LeaseId) is not { Owner.HoldsModels: true, Holders.Count: > 0 } lease)
        {
            throw EngineFaults.NotFound("model");
        }

        var (limit, name) = session.Uses.Count >= MaxUsesPerClient ? (MaxUsesPerClient, "open models")
            : !session.Leases.Contains(lease) && session.Leases.Count >= Settings.MaxLeasesPerClient ? (Settings.MaxLeasesPerClient, "leases and models")
            : default;
        return limit == 0
            ? lease
            : throw EngineFaults.Exhausted(
                ExhaustionCause.Limit, $"The client has {limit} {name}, as many as it may.", "Close models, or release leases.", 0,
                nameof(Settings.MaxLeasesPerClient), limit);
    }

    /// <summary>The session lets go of the lease, in whatever way: nothing of it is open any more.</summary>
    private static void EndUsesUnsynchronized(PoolSession session, Lease lease, Deferred after)
    {
        foreach (var (id, use) in session.Uses.Where(open => open.Value.LeaseId == lease.Id).ToList())
        {
            session.Uses.Remove(id);
            after.Add(use.Dispose);
        }
    }

    /// <summary>A model's lease is the store's: others read it, and neither change it nor pass it on.</summary>
    private static bool IsOthersModel(Lease lease, PoolSession session) => lease.Owner.HoldsModels && !session.Options.HoldsModels;
}
