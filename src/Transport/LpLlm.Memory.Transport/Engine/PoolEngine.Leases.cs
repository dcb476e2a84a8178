namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    /// <summary>Takes segments of a lease back, which the client has unmapped. With the last one the lease stays, empty.</summary>
    public void Shrink(PoolSession session, ulong leaseId, IReadOnlyCollection<ulong> segmentIds) => Change(after =>
    {
        RequireUnsynchronized(session);
        var lease = RequireReleasableUnsynchronized(session, leaseId, after);
        var ids = segmentIds.ToHashSet();
        if (ids.Count != segmentIds.Count)
        {
            throw EngineFaults.Invalid("A segment is named twice; name each once.");
        }

        var slots = lease.Slots.Where(slot => ids.Contains(slot.Id) && slot.Users.Contains(session)).ToList();
        if (slots.Count != ids.Count)
        {
            throw ForeignUnsynchronized(session, "segment", after);
        }

        ShrinkUnsynchronized(session, lease, slots, after);
        PumpUnsynchronized(after);
    });

    /// <summary>Lets go of a lease; its memory goes back when nobody holds it.</summary>
    public void Release(PoolSession session, ulong leaseId) => Change(after =>
    {
        RequireUnsynchronized(session);
        LetGoUnsynchronized(session, RequireReleasableUnsynchronized(session, leaseId, after), "released", after);
        PumpUnsynchronized(after);
    });

    /// <summary>Joins a lease. It must be of the same user.</summary>
    public LeaseGrant Attach(PoolSession session, Token leaseToken) => Change(after =>
    {
        RequireUnsynchronized(session);
        RefuseIfStoppingUnsynchronized();
        if (_leases.Find(leaseToken) is not { } lease || IsOthersModel(lease, session) || !MaySharedUnsynchronized(session, lease))
        {
            throw ForeignUnsynchronized(session, "lease", after);
        }

        if (lease.RevokeReason is not null)
        {
            throw EngineFaults.Revoked(lease);
        }

        if (!lease.Holders.Contains(session) && session.Leases.Count >= Settings.MaxLeasesPerClient)
        {
            CountRefusalUnsynchronized(session, lease, lease.LengthBytes, $"{nameof(Settings.MaxLeasesPerClient)} is reached.", after);
            throw EngineFaults.Exhausted(
                ExhaustionCause.Limit,
                $"The client has {session.Leases.Count} leases, as many as it may.",
                "Release leases.",
                lease.LengthBytes,
                nameof(Settings.MaxLeasesPerClient),
                Settings.MaxLeasesPerClient);
        }

        HoldUnsynchronized(session, lease);
        foreach (var slot in lease.Slots)
        {
            slot.Users.Add(session);
            slot.Expose(session);
        }

        return GrantUnsynchronized(session, lease, lease.Slots, after);
    });

    public IReadOnlyList<LeaseSummary> List(PoolSession? holder = null)
    {
        lock (_lock)
        {
            // One holder's are few; all leases may be tens of thousands, which nobody but the operator may have gone through under the lock.
            return [.. (holder is null ? _leases.All : holder.Leases)
                .OrderBy(lease => lease.Created)
                .Select(SummarizeUnsynchronized)];
        }
    }

    /// <exception cref="PoolFaultException">There is no such lease, or the holder, if given, does not hold it.</exception>
    public (LeaseSummary Summary, IReadOnlyList<GrantedSegment> Segments) Inspect(ulong leaseId, PoolSession? holder = null)
    {
        lock (_lock)
        {
            if (_leases.Find(leaseId) is not { } lease || (holder is not null && !lease.Holders.Contains(holder)))
            {
                throw EngineFaults.NotFound("lease");
            }

            return (SummarizeUnsynchronized(lease), [.. MembersUnsynchronized(lease).Select(slot => new GrantedSegment(slot.Id, slot.Segment))]);
        }
    }

    /// <summary>Takes a lease away: its holders are told, and its memory goes back when the last of them has let go or is gone.</summary>
    /// <param name="leaseId">The lease.</param>
    /// <param name="reason">For its holders and the log.</param>
    /// <param name="holder">Whose it must be; null: the operator's wish, which the log tells.</param>
    /// <exception cref="PoolFaultException">There is no such lease, or the holder, if given, does not hold it.</exception>
    public void Revoke(ulong leaseId, string reason, PoolSession? holder = null) => Change(after =>
    {
        if (_leases.Find(leaseId) is not { Holders.Count: > 0 } lease || (holder is not null && !lease.Holders.Contains(holder)))
        {
            throw EngineFaults.NotFound("lease");
        }

        if (lease.Owner.HoldsModels)
        {
            throw new PoolFaultException(
                PoolFaultCode.FailedPrecondition, $"Lease {leaseId} holds the model '{lease.Name}': unload the model instead (sllm-store unload).");
        }

        if (lease.RevokeReason is not null)
        {
            return;
        }

        lease.RevokeReason = reason;
        foreach (var growth in lease.Growths.ToList())
        {
            EndRequestUnsynchronized(growth, EngineFaults.Revoked(lease), after);
        }

        foreach (var one in lease.Holders)
        {
            one.Watch?.Post(new PoolEvent.Revoked(leaseId, reason), after);
        }

        var lengthBytes = lease.LengthBytes;
        _events.Add("revoked", leaseId, lengthBytes, reason);
        if (holder is null)
        {
            after.Add(() => TransportLog.LeaseRevoked(_logger, leaseId, lengthBytes, reason));
        }

        PumpUnsynchronized(after);
    });

    private static IEnumerable<SegmentSlot> MembersUnsynchronized(Lease lease) =>
        lease.Holders.Count > 0 ? lease.Slots : lease.Quarantined;

    private static void HoldUnsynchronized(PoolSession session, Lease lease)
    {
        lease.Holders.Add(session);
        session.Leases.Add(lease);
    }

    /// <summary>Memory is shared within one user, or within this process; a user who is not known is nobody's equal.</summary>
    private static bool MaySharedUnsynchronized(PoolSession session, Lease lease) =>
        lease.Holders.Contains(session)
        || (session.Options.UserId is { } user && lease.Owner.UserId == user)
        || (session.Options.IsThisProcess && lease.Owner.IsThisProcess);

    private LeaseSummary SummarizeUnsynchronized(Lease lease)
    {
        var members = MembersUnsynchronized(lease);
        return new LeaseSummary
        {
            Id = lease.Id,
            Name = lease.Name,
            Owner = lease.Owner,
            LengthBytes = members.Sum(slot => slot.LengthBytes),
            SegmentCount = members.Count(),
            HolderCount = lease.Holders.Count,
            State = lease.State,
            Age = _clock.Since(lease.Created),
        };
    }

    private Lease RequireLeaseUnsynchronized(PoolSession session, ulong leaseId) =>
        _leases.Find(leaseId) is { } lease && lease.Holders.Contains(session) ? lease : throw EngineFaults.NotFound("lease");

    private Lease RequireReleasableUnsynchronized(PoolSession session, ulong leaseId, Deferred after) =>
        _leases.Find(leaseId) is { } lease && lease.Holders.Contains(session) ? lease : throw ForeignUnsynchronized(session, "lease", after);

    private PoolFaultException ForeignUnsynchronized(PoolSession session, string what, Deferred after)
    {
        _refusedRequests++;
        _events.Add("refused", 0, 0, $"Client '{session.Options.ClientName}' named a {what} that it does not hold.");
        after.Add(() => TransportLog.ForeignRelease(_logger, session.Options.ClientName));
        return EngineFaults.NotFound(what);
    }

    private void ShrinkUnsynchronized(PoolSession session, Lease lease, List<SegmentSlot> slots, Deferred after)
    {
        session.TrimDue = long.MinValue;
        _events.Add("shrunk", lease.Id, slots.Sum(slot => slot.LengthBytes), $"By client '{session.Options.ClientName}'.");
        var growths = slots.Select(slot => slot.GrantedBy).Where(request => request?.Session == session && request.IsGrowth).ToHashSet();
        StopUsingUnsynchronized(lease, slots, session, after);

        // A growth of which nothing is left need not be remembered; else a client that grows and shrinks for ever would fill the server.
        foreach (var request in growths.OfType<LeaseRequest>().Where(request => request.LiveCount == 0))
        {
            session.Requests.Remove(request.Options.RequestId);
        }
    }

    private void LetGoUnsynchronized(PoolSession session, Lease lease, string how, Deferred after)
    {
        session.TrimDue = long.MinValue;
        foreach (var request in session.Requests.Values.Where(request => request.Lease == lease).ToList())
        {
            if (request.State == RequestState.Granted)
            {
                session.Requests.Remove(request.Options.RequestId);
            }
            else
            {
                EndRequestUnsynchronized(request, EngineFaults.NotFound("lease"), after);
            }
        }

        var used = lease.Slots.Where(slot => slot.Users.Contains(session)).ToList();
        _events.Add(how, lease.Id, used.Sum(slot => slot.LengthBytes), $"By client '{session.Options.ClientName}'.");
        lease.Holders.Remove(session);
        session.Leases.Remove(lease);
        session.Watch?.Forget(lease.Id);
        EndUsesUnsynchronized(session, lease, after);
        StopUsingUnsynchronized(lease, used, session, after);
        _leases.Settle(lease);
    }

    /// <summary>What nobody else uses leaves the lease; what others use is carried by one of them.</summary>
    private void StopUsingUnsynchronized(Lease lease, List<SegmentSlot> slots, PoolSession session, Deferred after)
    {
        foreach (var slot in slots)
        {
            slot.Users.Remove(session);
            if (slot.GrantedBy is { } request && request.Session == session)
            {
                request.LiveCount--;
                slot.GrantedBy = null;
            }

            if (slot.Payer != session)
            {
                continue;
            }

            _quotas.Refund(session, slot.LengthBytes);

            // Also beyond its quota: it has the memory already, and gets no more until it is below.
            slot.Payer = slot.Users.FirstOrDefault();
            if (slot.Payer is { } heir)
            {
                _quotas.Charge(heir, slot.LengthBytes);
            }
        }

        var free = slots.FindAll(slot => slot.Users.Count == 0);
        lease.Slots.RemoveAll(slot => slot.Users.Count == 0);
        _shares.Refund(lease.Owner, free.Sum(slot => slot.LengthBytes));
        lease.Quarantined.UnionWith(free);
        if (free.Exists(slot => slot.QuarantineEnd > _clock.Now))
        {
            _events.Add("quarantined", lease.Id, free.Sum(slot => slot.LengthBytes), "Device copies of a client that is gone drain.");
        }

        free.ForEach(slot => SettleUnsynchronized(slot, after));
    }
}
