namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // Four times what clients have to answer a trim, by default.
    private static readonly TimeSpan FrontWindow = TimeSpan.FromSeconds(4);

    // A client that asks for what the host does not have, again and again, must not fill the log.
    private static readonly TimeSpan FailureLogInterval = TimeSpan.FromSeconds(1);

    private long _failureLogDue = long.MinValue;

    // Segments that are promised or being made.
    private int _makingSegments;

    /// <summary>Serves those in front as long as there is room; then uses what is left.</summary>
    private void PumpUnsynchronized(Deferred after)
    {
        if (_isDisposed)
        {
            return;
        }

        while (_queue.Front is { } front
            && (TryServeUnsynchronized(front, after) || TryServeOtherUnsynchronized(front, after) || TryServeBehindUnsynchronized(front, after)))
        {
        }

        var overShare = _shares.PoolBytes + _inventory.IdleBytes - Settings.MaxPoolBytes;
        foreach (var slot in _inventory.SelectOver(Math.Max(_inventory.OverBytes(Settings.CapacityBytes), overShare)))
        {
            DiscardUnsynchronized(slot, freesPages: true, after);
        }

        if (_queue.Front is { } waiting)
        {
            // Asked again when their patience is over, as long as somebody waits.
            AskUnsynchronized(waiting, after);
            if (_queue.FindOther(waiting) is { } other)
            {
                AskUnsynchronized(other, after);
            }
        }
        else
        {
            ReplenishUnsynchronized(after);
        }
    }

    /// <summary>Asks those to give back what is idle whose memory would help.</summary>
    /// <returns>When the last answer is due, or null if nobody could be asked.</returns>
    private long? AskUnsynchronized(LeaseRequest request, Deferred after)
    {
        var helpers = _sessions.Values.Where(session => _shares.CanHelp(session.Options, request));
        var due = _trims.Ask(helpers, request.Session, MissingRoomUnsynchronized(request), _events, after);
        if (due is { } time)
        {
            ArmUnsynchronized(time);
        }

        return due;
    }

    /// <summary>
    /// The front has no room. What it waits for is not what a floor keeps for the other kind of memory, nor anything that the other kind may have
    /// while the front's own kind has all that it may.
    /// </summary>
    private bool TryServeOtherUnsynchronized(LeaseRequest front, Deferred after) =>
        _queue.FindOther(front) is { } other
        && (_shares.IsWithinFloor(other) || !_shares.HasRoom(front))
        && TryServeUnsynchronized(other, after);

    /// <summary>
    /// The front has no room. It holds the others back for <see cref="FrontWindow"/>, so that what comes back gathers for it, then lets them
    /// pass as long, and so on until its deadline: a large request does not starve, and memory does not lie idle for 5 min because of one.
    /// </summary>
    private bool TryServeBehindUnsynchronized(LeaseRequest front, Deferred after)
    {
        if (_queue.Count == 1)
        {
            return false;
        }

        var since = front.FrontSince ??= _clock.Now;
        var windows = (long)(_clock.Since(since) / FrontWindow);
        ArmUnsynchronized(_clock.Add(since, FrontWindow * (windows + 1)));
        return windows % 2 == 1
            && _queue.FindBehind(front, Settings.CapacityBytes - _inventory.ChargedBytes + _inventory.IdleBytes) is { } request
            && TryServeUnsynchronized(request, after);
    }

    /// <summary>
    /// Takes idle segments, and reserves the bytes of one more for the rest: from free capacity, then from idle segments that do not fit, which
    /// are discarded for it. All or nothing.
    /// </summary>
    /// <returns>Whether it left the queue.</returns>
    private bool TryServeUnsynchronized(LeaseRequest request, Deferred after)
    {
        var free = Settings.CapacityBytes - _inventory.ChargedBytes;
        if (free < 0 || !_shares.HasRoom(request))
        {
            return false;
        }

        var segmentsLeft = SegmentsLeftUnsynchronized(request.IsGrowth ? request.Lease : null);
        if (segmentsLeft < 1)
        {
            RefuseUnsynchronized(
                request,
                EngineFaults.Exhausted(
                    ExhaustionCause.Limit,
                    $"The lease has {Settings.MaxSegmentsPerLease} segments, as many as it may.",
                    "Use another lease.",
                    request.LengthBytes,
                    nameof(Settings.MaxSegmentsPerLease),
                    Settings.MaxSegmentsPerLease),
                after);
            return true;
        }

        var picked = _inventory.Select(request.Session, request.LengthBytes, request.Options.SingleSegment, segmentsLeft);
        var rest = request.LengthBytes - picked.Sum(slot => slot.LengthBytes);
        var missing = Math.Max(0, rest - free);
        if (_inventory.SelectVictims(missing, picked) is not { } victims)
        {
            return false;
        }

        if (rest > 0 && victims.Count == 0 && SegmentsFreeUnsynchronized() < 1)
        {
            // A descriptor each: an idle segment makes place for one that is needed.
            if (_inventory.SelectVictims(1, picked) is not { } idle)
            {
                RefuseUnsynchronized(
                    request,
                    EngineFaults.Exhausted(
                        ExhaustionCause.Limit,
                        $"The server has {Settings.MaxSegments} segments, as many as it can have descriptors for.",
                        "Release leases, ask for larger ones, or raise the server's limit of open files (ulimit -n).",
                        request.LengthBytes,
                        nameof(Settings.MaxSegments),
                        Settings.MaxSegments),
                    after);
                return true;
            }

            victims = idle;
        }

        _queue.Remove(request);
        _shares.Charge(request.Session.Options, request.LengthBytes);
        request.State = RequestState.Making;
        request.MakingBytes = rest;
        _makingSegments += rest > 0 ? 1 : 0;
        request.MissingBytes = missing;
        _inventory.Promise(rest - missing);
        foreach (var slot in picked)
        {
            _inventory.Move(slot, SlotState.Reserved);
            request.Slots.Add(slot);
        }

        foreach (var victim in victims)
        {
            victim.Beneficiary = request;
            DiscardUnsynchronized(victim, freesPages: true, after);
        }

        AdvanceUnsynchronized(request, after);
        return true;
    }

    private void AdvanceUnsynchronized(LeaseRequest request, Deferred after)
    {
        if (request.MakingBytes == 0)
        {
            CommitUnsynchronized(request, after);
        }
        else if (request.MissingBytes == 0 && !request.IsCreating)
        {
            request.IsCreating = true;
            _operations++;
            after.Add(() => _ = CreateAsync(request));
        }
    }

    private async Task CreateAsync(LeaseRequest request)
    {
        Segment? made = null;
        Exception? failure = null;
        try
        {
            made = await _source.CreateAsync(request.MakingBytes, request.Cancellation.Token).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        Change(after => FinishCreateUnsynchronized(request, made, failure, after));
    }

    private void FinishCreateUnsynchronized(LeaseRequest request, Segment? made, Exception? failure, Deferred after)
    {
        var lengthBytes = request.MakingBytes;
        EndOperationUnsynchronized(after);
        request.MakingBytes = 0;
        _makingSegments--;
        _inventory.Refund(lengthBytes);
        if (made is not null)
        {
            var slot = _inventory.Add(made, SlotState.Reserved);
            if (request.State == RequestState.Making)
            {
                request.Slots.Add(slot);
                CommitUnsynchronized(request, after);
            }
            else
            {
                SettleUnsynchronized(slot, after);
            }
        }
        else
        {
            CountCreateFailureUnsynchronized(lengthBytes, failure!, after);
            if (request.State == RequestState.Making)
            {
                FailUnsynchronized(request, failure!, after);
            }
        }

        PumpUnsynchronized(after);
    }

    private void CountCreateFailureUnsynchronized(long lengthBytes, Exception failure, Deferred after)
    {
        if (failure is MemorySourceException source)
        {
            _inventory.Lose(source.QuarantinedBytes);
        }

        if (failure is not OperationCanceledException && _clock.Now >= _failureLogDue)
        {
            _failureLogDue = _clock.After(FailureLogInterval);
            after.Add(() => TransportLog.CreateFailed(_logger, failure is MemorySourceException ? null : failure, lengthBytes, failure.Message));
        }
    }

    private void FailUnsynchronized(LeaseRequest request, Exception failure, Deferred after)
    {
        if (failure is not MemorySourceException source)
        {
            EndRequestUnsynchronized(request, failure, after);
            return;
        }

        RefuseUnsynchronized(
            request,
            EngineFaults.Exhausted(
                ExhaustionCause.NoMemory, source.Message, "", source.RequestedBytes, source.Operation, source.LimitBytes ?? 0, FreeBytesUnsynchronized()),
            after);
    }

    private void CommitUnsynchronized(LeaseRequest request, Deferred after)
    {
        var session = request.Session;
        var lease = request.Lease ??= new Lease(NewIdUnsynchronized(), _newToken(), request.Options.Name, session.Options, _clock.Now);
        if (request.IsGrowth)
        {
            lease.Growths.Remove(request);
        }
        else
        {
            lease.Holders.Add(session);
            session.Leases.Add(lease);
            _leases.Add(lease);
            _totalLeases++;
        }

        foreach (var slot in request.Slots)
        {
            AppendUnsynchronized(lease, slot, session);
            slot.GrantedBy = request;
        }

        request.LiveCount = request.Slots.Count;
        request.Slots.Clear();
        request.State = RequestState.Granted;
        _events.Add(request.IsGrowth ? "grown" : "acquired", lease.Id, request.LengthBytes, $"By client '{session.Options.ClientName}'.");
        AnswerUnsynchronized(request, after);
    }

    private void AppendUnsynchronized(Lease lease, SegmentSlot slot, PoolSession session)
    {
        _inventory.Move(slot, SlotState.Leased);
        slot.Id = NewIdUnsynchronized();
        slot.Lease = lease;
        slot.Payer = session;
        slot.Users.Add(session);
        slot.Expose(session);
        lease.Slots.Add(slot);
    }

    private void AnswerUnsynchronized(LeaseRequest request, Deferred after)
    {
        foreach (var call in request.Calls)
        {
            var grant = GrantUnsynchronized(request.Session, request.Lease!, request.LiveSlots, after);
            call.IsOver = true;
            after.Add(() =>
            {
                call.Registration.Unregister();
                call.Completion.TrySetResult(grant);
            });
        }

        request.Calls.Clear();
    }

    private LeaseGrant GrantUnsynchronized(PoolSession session, Lease lease, IEnumerable<SegmentSlot> slots, Deferred after)
    {
        var pinned = slots.Where(slot => slot.Users.Contains(session)).ToList();
        pinned.ForEach(slot => slot.Pins++);
        if (!session.Options.HoldsModels)
        {
            after.Add(() => pinned.ForEach(slot => slot.Segment.Seal(readOnly: false))); // before the answer, which is added later
        }

        return new LeaseGrant(lease.Id, lease.Token, [.. pinned.Select(slot => new GrantedSegment(slot.Id, slot.Segment))], () => Unpin(pinned));
    }

    /// <summary>Ends a request that was not granted: gives back what it has reserved, once, and answers its callers.</summary>
    private void EndRequestUnsynchronized(LeaseRequest request, Exception? error, Deferred after)
    {
        var wasMaking = request.State == RequestState.Making;
        _queue.Remove(request);
        request.State = RequestState.Ended;
        request.Session.Requests.Remove(request.Options.RequestId);
        request.Lease?.Growths.Remove(request);
        _quotas.Refund(request.Session, request.LengthBytes);
        if (wasMaking)
        {
            _shares.Refund(request.Session.Options, request.LengthBytes);
        }

        if (wasMaking && !request.IsCreating)
        {
            _inventory.Refund(request.MakingBytes - request.MissingBytes);
            _makingSegments -= request.MakingBytes > 0 ? 1 : 0;
        }

        request.MissingBytes = 0;
        request.Slots.ForEach(slot => SettleUnsynchronized(slot, after));
        request.Slots.Clear();
        if (request.IsCreating && request.MakingBytes > 0)
        {
            after.Add(request.Cancellation.Cancel);
        }

        foreach (var call in request.Calls)
        {
            call.IsOver = true;
            after.Add(() =>
            {
                call.Registration.Unregister();
                call.Completion.TrySetException(error!);
            });
        }

        request.Calls.Clear();
    }
}
