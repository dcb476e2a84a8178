namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // A client that withdraws more than this before its requests arrive is not well; the oldest are forgotten.
    private const int MaxWithdrawn = 64;

    private long _sequence;

    /// <summary>Takes a lease. Memory that has to be made first is not waited for by <see cref="AcquireOptions.Timeout"/>: only room is.</summary>
    public Task<LeaseGrant> AcquireAsync(PoolSession session, AcquireOptions options, CancellationToken cancellationToken) =>
        RequestAsync(session, null, options, cancellationToken);

    /// <summary>Appends segments to a lease; the grant holds the new ones.</summary>
    public Task<LeaseGrant> GrowAsync(PoolSession session, ulong leaseId, AcquireOptions options, CancellationToken cancellationToken) =>
        RequestAsync(session, leaseId, options, cancellationToken);

    /// <summary>Undoes a request, whether it waits, was granted, or is yet to come.</summary>
    /// <returns>Whether there was something to undo.</returns>
    public bool Withdraw(PoolSession session, Token requestId) => Change(after =>
    {
        RequireUnsynchronized(session);
        NoteWithdrawnUnsynchronized(session, requestId);

        if (!session.Requests.TryGetValue(requestId, out var request))
        {
            return false;
        }

        if (request.State != RequestState.Granted)
        {
            EndRequestUnsynchronized(request, EngineFaults.Cancelled("The request was withdrawn."), after);
        }
        else if (request.IsGrowth)
        {
            ShrinkUnsynchronized(session, request.Lease!, [.. request.LiveSlots], after);
        }
        else
        {
            LetGoUnsynchronized(session, request.Lease!, "released", after);
        }

        PumpUnsynchronized(after);
        return true;
    });

    private static void NoteWithdrawnUnsynchronized(PoolSession session, Token id)
    {
        if (!session.Withdrawn.Contains(id))
        {
            session.Withdrawn.Enqueue(id);
            if (session.Withdrawn.Count > MaxWithdrawn)
            {
                session.Withdrawn.Dequeue();
            }
        }
    }

    private Task<LeaseGrant> RequestAsync(PoolSession session, ulong? leaseId, AcquireOptions options, CancellationToken cancellationToken)
    {
        var call = new RequestCall();
        call.Registration = cancellationToken.UnsafeRegister(_ => CancelCall(call, cancellationToken), null);
        try
        {
            Change(after => EnterUnsynchronized(session, leaseId, options, call, after));
        }
        catch (PoolFaultException fault)
        {
            call.Registration.Unregister();
            call.Completion.TrySetException(fault);
        }

        return call.Completion.Task;
    }

    private void EnterUnsynchronized(PoolSession session, ulong? leaseId, AcquireOptions options, RequestCall call, Deferred after)
    {
        RequireUnsynchronized(session);
        RefuseIfStoppingUnsynchronized();
        CheckOptions(options);
        if (call.IsOver)
        {
            return;
        }

        if (session.Withdrawn.Contains(options.RequestId))
        {
            throw EngineFaults.Cancelled("The request was withdrawn before it came.");
        }

        if (session.Requests.TryGetValue(options.RequestId, out var known))
        {
            JoinUnsynchronized(known, leaseId, options, call, after);
            return;
        }

        var lease = leaseId is { } id ? RequireLeaseUnsynchronized(session, id) : null;
        if (lease is not null && IsOthersModel(lease, session))
        {
            throw EngineFaults.Invalid($"Lease {lease.Id} is a model, which does not grow.");
        }

        if (lease?.RevokeReason is not null)
        {
            throw EngineFaults.Revoked(lease);
        }

        var lengthBytes = CheckLimitsUnsynchronized(session, lease, options, after);
        if (options.Priority > RentPriority.Normal && !session.Options.IsPrivileged)
        {
            // Else whoever says so goes before everybody.
            options = options with { Priority = RentPriority.Normal };
        }

        var request = new LeaseRequest(session, options, lengthBytes, lease is not null, lease, _sequence++, 0);
        AddCallUnsynchronized(request, call);
        session.Requests.Add(options.RequestId, request);
        lease?.Growths.Add(request);
        _quotas.Charge(session, lengthBytes);
        _queue.Add(request);
        PumpUnsynchronized(after);
        if (request.State == RequestState.Waiting)
        {
            WaitUnsynchronized(request, after);
        }
    }

    /// <summary>
    /// There is no room. Who can wait waits; who cannot is refused, but not while clients that were asked to trim have time to answer.
    /// </summary>
    private void WaitUnsynchronized(LeaseRequest request, Deferred after)
    {
        var others = _queue.Waiting.Where(other => other != request).Select(other => other.Session.Options).ToList();
        if (FairShare.FindExceeded(others, request.Session.Options, Settings.MaxWaiting) is var (most, whose))
        {
            RefuseUnsynchronized(
                request,
                EngineFaults.Exhausted(
                    ExhaustionCause.Limit,
                    $"{most} requests {whose} wait for room already, as many as may.",
                    "Try again later.",
                    request.LengthBytes,
                    nameof(Settings.MaxWaiting),
                    most),
                after);
            return;
        }

        var timeout = request.Options.Timeout > Settings.MaxWait ? Settings.MaxWait : request.Options.Timeout;
        var asked = AskUnsynchronized(request, after);
        request.Deadline = Math.Max(_clock.After(timeout), asked ?? long.MinValue);
        if (request.Deadline <= _clock.Now)
        {
            RefuseForRoomUnsynchronized(request, after);
            return;
        }

        ArmUnsynchronized(request.Deadline);
    }

    private void JoinUnsynchronized(LeaseRequest known, ulong? leaseId, AcquireOptions options, RequestCall call, Deferred after)
    {
        if (known.IsGrowth != leaseId.HasValue
            || (leaseId.HasValue && known.Lease!.Id != leaseId)
            || known.Options.LengthBytes != options.LengthBytes
            || known.Options.SingleSegment != options.SingleSegment)
        {
            throw new PoolFaultException(PoolFaultCode.AlreadyExists, "This request id was used for another request. Each request needs a new one.");
        }

        if (known.Lease?.RevokeReason is not null)
        {
            throw EngineFaults.Revoked(known.Lease);
        }

        AddCallUnsynchronized(known, call);
        if (known.State == RequestState.Granted)
        {
            AnswerUnsynchronized(known, after);
        }
    }

    private static void AddCallUnsynchronized(LeaseRequest request, RequestCall call)
    {
        call.Request = request;
        request.Calls.Add(call);
    }

    private void CancelCall(RequestCall call, CancellationToken cancellationToken) => Change(after =>
    {
        if (call.IsOver)
        {
            return;
        }

        call.IsOver = true;
        after.Add(() => call.Completion.TrySetCanceled(cancellationToken));
        if (call.Request is { } request)
        {
            request.Calls.Remove(call);
            if (request.Calls.Count == 0)
            {
                EndRequestUnsynchronized(request, null, after);
                PumpUnsynchronized(after);
            }
        }
    });

    private void ExpireRequestsUnsynchronized(Deferred after)
    {
        foreach (var request in _queue.Waiting.ToList())
        {
            if (request.Deadline <= _clock.Now)
            {
                RefuseForRoomUnsynchronized(request, after);
            }
            else
            {
                ArmUnsynchronized(request.Deadline);
            }
        }
    }

    private void EndRequestsUnsynchronized(PoolSession session, string reason, Deferred after)
    {
        foreach (var request in session.Requests.Values.Where(request => request.State != RequestState.Granted).ToList())
        {
            EndRequestUnsynchronized(request, EngineFaults.Cancelled(reason), after);
        }
    }
}
