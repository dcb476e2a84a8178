using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    /// <summary>
    /// How long after the start memory is taken back whatever the capacity. A client that survived is back within 4 s; later, what is presented is
    /// refused like any other wish, or a client could fill the server with memory of its own making and keep the others out.
    /// </summary>
    internal static readonly TimeSpan RestoreWindow = TimeSpan.FromMinutes(1);

    /// <summary>Makes a lease of memory that the client has held since before this engine started. Sharers of a lease meet by its token.</summary>
    /// <param name="session">Who presents it.</param>
    /// <param name="leaseToken">As before the restart.</param>
    /// <param name="name">For people.</param>
    /// <param name="segments">Descriptors and lengths; the engine takes the descriptors over, whatever the outcome.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public async Task<LeaseGrant> RestoreAsync(
        PoolSession session, Token leaseToken, string name, IReadOnlyList<(SafeFileHandle File, long LengthBytes)> segments, CancellationToken cancellationToken)
    {
        var adopted = new List<Segment>();
        var surplus = new List<Segment>();
        try
        {
            Change(_ => CheckRestoreUnsynchronized(session, leaseToken, name, segments));
            var inodes = segments.Select(segment => _source.Identify(segment.File)).ToList();

            // Before any of it is mapped: mapping and page-locking take the server's time, and the limits are there to bound that too.
            Change(after => CheckNewUnsynchronized(session, leaseToken, segments, inodes, after));
            foreach (var (file, lengthBytes) in segments)
            {
                adopted.Add(await _source.AdoptAsync(file, lengthBytes, cancellationToken).ConfigureAwait(false));
            }

            return Change(after => CommitRestoreUnsynchronized(session, leaseToken, name, adopted, surplus, after));
        }
        catch
        {
            surplus = adopted;
            throw;
        }
        finally
        {
            foreach (var (file, _) in segments.Skip(adopted.Count))
            {
                file.Dispose();
            }

            DiscardSurplus(surplus);
        }
    }

    /// <summary>A second view of memory that the engine has already, or that it refused: never charged, so a failure is only told.</summary>
    private void DiscardSurplus(List<Segment> surplus) => Change(after =>
    {
        _operations += surplus.Count;
        surplus.ForEach(segment => after.Add(() => _ = DiscardSurplusAsync(segment)));
    });

    private async Task DiscardSurplusAsync(Segment segment)
    {
        try
        {
            await segment.DiscardAsync(freesPages: false).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            TransportLog.DiscardFailed(_logger, exception, segment.LengthBytes);
        }

        Change(EndOperationUnsynchronized);
    }

    private void CheckRestoreUnsynchronized(PoolSession session, Token leaseToken, string name, IReadOnlyList<(SafeFileHandle File, long LengthBytes)> segments)
    {
        RequireUnsynchronized(session);
        RefuseIfStoppingUnsynchronized();
        CheckName(name);
        if (leaseToken.IsEmpty)
        {
            throw EngineFaults.Invalid("The lease's token is missing; send the one it had before the server's restart.");
        }

        if (segments.Count < 1 || segments.Count > Settings.MaxSegmentsPerLease)
        {
            throw EngineFaults.Invalid($"{segments.Count} segments were presented; a lease has 1 to {Settings.MaxSegmentsPerLease}.");
        }

        Int128 sum = 0;
        foreach (var (_, lengthBytes) in segments)
        {
            if (!SegmentSizes.IsWhole(lengthBytes))
            {
                throw EngineFaults.Invalid($"A segment of {lengthBytes} B was presented; its length must be a multiple of {PoolProtocol.UnitBytes} B.");
            }

            sum += lengthBytes;
        }

        if (sum + _inventory.ChargedBytes > long.MaxValue)
        {
            throw EngineFaults.Invalid($"Segments of {sum} B were presented, which no host has.");
        }
    }

    private void CheckNewUnsynchronized(
        PoolSession session, Token leaseToken, IReadOnlyList<(SafeFileHandle File, long LengthBytes)> segments, List<ulong> inodes, Deferred after)
    {
        if (inodes.Distinct().Count() < inodes.Count)
        {
            throw EngineFaults.Invalid("The same memory was presented twice.");
        }

        var news = segments.Where((_, i) => _inventory.FindInode(inodes[i]) is null).ToList();
        CheckRestoreLimitsUnsynchronized(session, _leases.Find(leaseToken), news.Count, news.Sum(segment => segment.LengthBytes), after);
    }

    private void CheckRestoreLimitsUnsynchronized(PoolSession session, Lease? lease, int newSegments, long newBytes, Deferred after)
    {
        if (lease is not null && newSegments > SegmentsLeftUnsynchronized(lease))
        {
            throw TooMany(nameof(Settings.MaxSegmentsPerLease), Settings.MaxSegmentsPerLease, lease.Slots.Count);
        }

        if (newSegments > SegmentsFreeUnsynchronized())
        {
            throw TooMany(nameof(Settings.MaxSegments), Settings.MaxSegments, Settings.MaxSegments - SegmentsFreeUnsynchronized());
        }

        var limit = _quotas.FindLimit(session, newBytes);
        if (limit is null && (lease is null || !lease.Holders.Contains(session)) && session.Leases.Count >= Settings.MaxLeasesPerClient)
        {
            limit = (nameof(Settings.MaxLeasesPerClient), Settings.MaxLeasesPerClient, session.Leases.Count);
        }

        var free = Math.Min(FreeBytesUnsynchronized(), Settings.MaxPoolBytes - _shares.Held(session.Options));
        if (limit is null && newBytes > free && _clock.Since(_started) > RestoreWindow)
        {
            limit = (nameof(Settings.CapacityBytes), Settings.MaxPoolBytes, Settings.MaxPoolBytes - free);
        }

        if (limit is not var (name, most, used))
        {
            return;
        }

        var fault = EngineFaults.Exhausted(
            ExhaustionCause.Limit,
            $"{newBytes} B were presented; {name} is {most}, of which {used} are taken.",
            "The memory stays the client's" + (name == nameof(Settings.MaxLeasesPerClient) ? "." : $". Raise {name} to have the server hold it again."),
            newBytes,
            name,
            most,
            Math.Max(0, most - used));
        CountRefusalUnsynchronized(session, lease, newBytes, fault.Message, after);
        throw fault;

        PoolFaultException TooMany(string name, int most, int used)
        {
            var fault = EngineFaults.Exhausted(
                ExhaustionCause.Limit,
                $"{newSegments} segments were presented; {name} is {most}, of which {used} are taken.",
                "The memory stays the client's.",
                newBytes,
                name,
                most);
            CountRefusalUnsynchronized(session, lease, newBytes, fault.Message, after);
            return fault;
        }
    }

    private LeaseGrant CommitRestoreUnsynchronized(
        PoolSession session, Token leaseToken, string name, List<Segment> adopted, List<Segment> surplus, Deferred after)
    {
        RequireUnsynchronized(session);
        RefuseIfStoppingUnsynchronized();
        var lease = _leases.Find(leaseToken);
        if (lease is not null && !MaySharedUnsynchronized(session, lease))
        {
            throw Denied();
        }

        if (lease?.RevokeReason is not null)
        {
            throw EngineFaults.Revoked(lease);
        }

        var known = adopted.Select(segment => _inventory.FindInode(segment.Inode)).ToList();
        if (known.Any(slot => slot is not null && (slot.State != SlotState.Leased || slot.Lease != lease)))
        {
            throw Denied();
        }

        var news = adopted.Where((_, i) => known[i] is null).ToList();
        CheckRestoreLimitsUnsynchronized(session, lease, news.Count, news.Sum(segment => segment.LengthBytes), after);
        if (lease is null)
        {
            lease = new Lease(NewIdUnsynchronized(), leaseToken, name, session.Options, _clock.Now);
            HoldUnsynchronized(session, lease);
            _leases.Add(lease);
            _totalLeases++;
        }

        HoldUnsynchronized(session, lease);
        var presented = new List<SegmentSlot>();
        for (var i = 0; i < adopted.Count; i++)
        {
            if (known[i] is { } slot)
            {
                surplus.Add(adopted[i]);
                slot.Users.Add(session);
                slot.Expose(session);
            }
            else
            {
                slot = _inventory.Add(adopted[i], SlotState.Reserved);

                // Processes that had it before the restart and never came back are not known, so their end can never be proven.
                slot.IsTainted = true;
                _quotas.Charge(session, slot.LengthBytes);
                _shares.Charge(lease.Owner, slot.LengthBytes);
                AppendUnsynchronized(lease, slot, session);
            }

            presented.Add(slot);
        }

        var lengthBytes = presented.Sum(slot => slot.LengthBytes);
        _events.Add("restored", lease.Id, lengthBytes, $"By client '{session.Options.ClientName}'.");
        after.Add(() => TransportLog.LeaseRestored(_logger, session.Options.ClientName, lease.Id, lengthBytes));
        PumpUnsynchronized(after);
        return GrantUnsynchronized(session, lease, presented, after);

        static PoolFaultException Denied() =>
            new(PoolFaultCode.PermissionDenied, "This memory, or this lease, is another's. Only the processes that shared it before may present it.");
    }
}
