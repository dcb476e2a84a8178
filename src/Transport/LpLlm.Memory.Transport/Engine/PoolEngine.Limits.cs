namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    private static void CheckOptions(AcquireOptions options)
    {
        if (options.LengthBytes <= 0)
        {
            throw EngineFaults.Invalid($"A length of {options.LengthBytes} B was asked for; it must be above 0.");
        }

        if (options.RequestId.IsEmpty)
        {
            throw EngineFaults.Invalid("The request has no id; send 16 random bytes, the same with every retry.");
        }

        if (!Enum.IsDefined(options.Priority))
        {
            throw EngineFaults.Invalid($"Priority {(int)options.Priority} is none of -1, 0 and 1.");
        }

        if (options.Timeout < TimeSpan.Zero)
        {
            throw EngineFaults.Invalid($"A timeout of {options.Timeout} was given; it must not be negative.");
        }

        CheckName(options.Name);
    }

    private static void CheckName(string name)
    {
        if (name.Length > PoolProtocol.MaxTextLength)
        {
            throw EngineFaults.Invalid($"The name has {name.Length} characters; {PoolProtocol.MaxTextLength} are allowed.");
        }
    }

    /// <summary>Refuses what can never be served, or not while the session holds what it holds.</summary>
    /// <returns>The length, rounded up.</returns>
    private long CheckLimitsUnsynchronized(PoolSession session, Lease? lease, AcquireOptions options, Deferred after)
    {
        if (!SegmentSizes.TryRoundUp(options.LengthBytes, out var lengthBytes) || lengthBytes > Settings.CapacityBytes)
        {
            throw Limit(nameof(Settings.CapacityBytes), Settings.CapacityBytes, 0, "Ask for less, or raise it");
        }

        var holdsModels = session.Options.HoldsModels;
        if (lengthBytes > _shares.Most(session.Options))
        {
            var floor = holdsModels ? nameof(Settings.PoolFloorBytes) : nameof(Settings.ModelFloorBytes);
            throw Limit(
                nameof(Settings.CapacityBytes),
                _shares.Most(session.Options),
                0,
                $"That is what {floor} leaves of {Settings.CapacityBytes}: ask for less, or raise {nameof(Settings.CapacityBytes)}");
        }

        var leaseBytes = lease is null ? 0 : lease.LengthBytes + lease.Growths.Sum(growth => growth.LengthBytes);
        if (!holdsModels && SegmentSizes.Exceeds(leaseBytes, lengthBytes, Settings.MaxLeaseBytes))
        {
            throw Limit(nameof(Settings.MaxLeaseBytes), Settings.MaxLeaseBytes, leaseBytes, "Ask for less or use several leases, or raise it");
        }

        if (_quotas.FindLimit(session, lengthBytes) is { } quota)
        {
            throw Limit(quota.Name, quota.LimitBytes, quota.UsedBytes, "Release leases of this client or user, or raise it");
        }

        var leases = session.Leases.Count + session.Requests.Values.Count(request => !request.IsGrowth && request.State != RequestState.Granted);
        if (lease is null && !holdsModels && leases >= Settings.MaxLeasesPerClient)
        {
            throw Limit(nameof(Settings.MaxLeasesPerClient), Settings.MaxLeasesPerClient, leases, "Release leases");
        }

        if (lease is not null && SegmentsLeftUnsynchronized(lease) < 1)
        {
            throw Limit(nameof(Settings.MaxSegmentsPerLease), Settings.MaxSegmentsPerLease, lease.Slots.Count, "Use another lease");
        }

        return lengthBytes;

        PoolFaultException Limit(string name, long limit, long used, string remedy)
        {
            var fault = EngineFaults.Exhausted(
                ExhaustionCause.Limit,
                $"{options.LengthBytes} B were asked for; {name} is {limit}" + (used > 0 ? $", of which {used} are taken." : "."),
                $"{remedy}.",
                options.LengthBytes,
                name,
                limit,
                Math.Max(0, limit - used));
            CountRefusalUnsynchronized(session, lease, options.LengthBytes, fault.Message, after);
            return fault;
        }
    }

    /// <summary>Segments that may yet be added to a lease.</summary>
    private int SegmentsLeftUnsynchronized(Lease? lease) => lease is null
        ? Settings.MaxSegmentsPerLease
        : Settings.MaxSegmentsPerLease - lease.Slots.Count
            - lease.Growths.Sum(growth => growth.State == RequestState.Making ? growth.Slots.Count + (growth.MakingBytes > 0 ? 1 : 0) : 0);

    /// <summary>Segments that may yet be made or adopted.</summary>
    private int SegmentsFreeUnsynchronized() => Settings.MaxSegments - _inventory.OpenCount - _makingSegments;

    private long FreeBytesUnsynchronized() => Math.Max(0, Settings.CapacityBytes - _inventory.LeasedBytes - _inventory.PendingBytes);

    private long MissingRoomUnsynchronized(LeaseRequest request)
    {
        var kind = request.Session.Options;
        var free = Math.Min(FreeBytesUnsynchronized(), _shares.Most(kind) - _shares.Held(kind));
        return Math.Max(PoolProtocol.UnitBytes, request.LengthBytes - free);
    }

    private void RefuseForRoomUnsynchronized(LeaseRequest request, Deferred after)
    {
        var kind = request.Session.Options;
        var free = Math.Max(0, Math.Min(FreeBytesUnsynchronized(), _shares.Most(kind) - _shares.Held(kind)));
        var soon = _shares.HasRoom(request) && FreeBytesUnsynchronized() + _inventory.TransientBytes + _inventory.MakingBytes >= request.LengthBytes;
        var share = _shares.Most(kind) < Settings.CapacityBytes
            ? $" {(kind.HoldsModels ? "Models" : "Pools")} have {_shares.Held(kind)} of the {_shares.Most(kind)} B that they may."
            : "";
        var fault = EngineFaults.Exhausted(
            soon ? ExhaustionCause.Pending : ExhaustionCause.Limit,
            $"There is no room for {request.LengthBytes} B: {_inventory.LeasedBytes} of {Settings.CapacityBytes} B are leased and {_inventory.PendingBytes} pending.{share}",
            soon ? "Try again: returned memory is being made ready." : $"Wait longer, release leases, or raise {nameof(Settings.CapacityBytes)}.",
            request.Options.LengthBytes,
            nameof(Settings.CapacityBytes),
            Settings.CapacityBytes,
            free);
        RefuseUnsynchronized(request, fault, after);
    }

    private void RefuseUnsynchronized(LeaseRequest request, PoolFaultException fault, Deferred after)
    {
        CountRefusalUnsynchronized(request.Session, request.IsGrowth ? request.Lease : null, request.LengthBytes, fault.Message, after);
        EndRequestUnsynchronized(request, fault, after);
    }

    private void CountRefusalUnsynchronized(PoolSession session, Lease? lease, long lengthBytes, string reason, Deferred after)
    {
        _refusedRequests++;
        _events.Add("refused", lease?.Id ?? 0, lengthBytes, $"Client '{session.Options.ClientName}': {reason}");
        after.Add(() => TransportLog.RequestRefused(_logger, session.Options.ClientName, lengthBytes, reason));
    }
}
