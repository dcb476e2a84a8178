using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What happens between connections: leases are compared, or presented to a server that was started anew.</summary>
internal sealed partial class ServerMemorySource
{
    internal const int MaxPresentedSegments = 64;
    internal const long MaxPresentedBytes = 1L << 30;

    async Task IPoolClientObserver.ConnectedAsync(PoolConnection connection, CancellationToken cancellationToken)
    {
        List<ServerLease> leases;
        lock (_gate)
        {
            leases = [.. _leases];
        }

        var known = connection.Hello.Resumed ? connection.Hello.Leases.Select(lease => lease.Id).ToHashSet() : [];
        foreach (var lease in leases)
        {
            if (lease.Epoch == connection.Epoch)
            {
                if (lease.IsKnown && (lease.Session != connection.Session || !known.Contains(lease.Id)))
                {
                    Lose(lease, "The session ended on the server.");
                }
            }
            else if (connection.PassesFiles && connection.Hello.Restores)
            {
                await RestoreAsync(connection, lease, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                Lose(lease, "The server was started anew, and this transport cannot show it the memory again: a pipe can.", connection.Epoch);
            }
        }

        if (connection.Hello.Resumed && connection.Session != _served)
        {
            GiveBackSurplus(connection);
        }

        _served = connection.Session;
    }

    void IPoolClientObserver.Answered() => _outbox.Start();

    void IPoolClientObserver.Happened(WatchEvent happened)
    {
        switch (happened.EventCase)
        {
            case WatchEvent.EventOneofCase.Trim when happened.Trim.LengthBytes > 0:
                _trims.Request(happened.Trim.LengthBytes);
                break;
            case WatchEvent.EventOneofCase.Revoked:
                Revoked(happened.Revoked.LeaseId, happened.Revoked.Reason);
                break;
            case WatchEvent.EventOneofCase.Shutdown:
                TransportLog.ServerStops(_logger, _options.EndPoint, TimeSpan.FromMilliseconds(Math.Clamp(happened.Shutdown.GraceMs, 0, int.MaxValue)));
                break;
            default:
                break; // of a later version
        }
    }

    /// <summary>
    /// The session was opened by an attempt that failed before any request was made in it: what it holds came by a restoration whose reply got
    /// lost, and may have been given back since.
    /// </summary>
    private void GiveBackSurplus(PoolConnection connection)
    {
        lock (_gate)
        {
            foreach (var onServer in connection.Hello.Leases)
            {
                var held = _leases.Find(lease => lease.Session == connection.Session && lease.Id == onServer.Id);
                if (held is null)
                {
                    _outbox.Post(connection.Session, PoolMethod.Release, new ReleaseRequest { Session = connection.SessionBytes, LeaseId = onServer.Id });
                    continue;
                }

                // One by one: what was given back in these very moments is told already, and unknown then.
                var ids = held.Segments.Where(segment => segment.IsKnown).Select(segment => segment.Id).ToHashSet();
                foreach (var segment in onServer.Segments.Where(segment => !ids.Contains(segment.Id)))
                {
                    var request = new ShrinkRequest { Session = connection.SessionBytes, LeaseId = onServer.Id, SegmentIds = { segment.Id } };
                    _outbox.Post(connection.Session, PoolMethod.Shrink, request);
                }
            }
        }
    }

    private void Revoked(ulong leaseId, string reason)
    {
        long lengthBytes;
        bool isShared;
        lock (_gate)
        {
            var lease = _leases.Find(held => held.IsKnown && held.Id == leaseId);
            if (lease is null or { IsRevoked: true })
            {
                return;
            }

            lease.IsRevoked = true;
            _growing = _growing == lease ? null : _growing;
            (lengthBytes, isShared) = (lease.LengthBytes, lease.IsShared);
            if (lengthBytes == 0)
            {
                TellUnsynchronized(lease, []);
            }
        }

        // The regions stay mapped: only the pool knows which of them are idle, and gives those back.
        TransportLog.LeaseTakenAway(_logger, _options.EndPoint, lengthBytes, reason);
        if (lengthBytes > 0 && !isShared)
        {
            _trims.Request(long.MaxValue);
        }
    }

    /// <summary>The memory of a lost lease stays mapped and usable; what is given back of it is told to nobody.</summary>
    /// <param name="lease">The lease.</param>
    /// <param name="reason">For the log.</param>
    /// <param name="refusedBy">The start of the server that does not take it over: it is not asked again.</param>
    private void Lose(ServerLease lease, string reason, Token? refusedBy = null)
    {
        long lengthBytes;
        lock (_gate)
        {
            lease.Epoch = refusedBy ?? lease.Epoch;
            if (!lease.IsKnown)
            {
                return;
            }

            lease.IsKnown = false;
            _growing = _growing == lease ? null : _growing;
            lengthBytes = lease.LengthBytes;
            if (lengthBytes == 0)
            {
                _leases.Remove(lease);
            }
        }

        TransportLog.LeaseLost(_logger, _options.EndPoint, lengthBytes, reason);
    }

    /// <summary>Shows a restarted server the memory of a lease: no byte and no address changes, only the ids by which it is spoken of.</summary>
    private async Task RestoreAsync(PoolConnection connection, ServerLease lease, CancellationToken cancellationToken)
    {
        List<HeldSegment> presented;
        lock (_gate)
        {
            if (lease.Segments.Count == 0)
            {
                _leases.Remove(lease);
                _growing = _growing == lease ? null : _growing;
                return;
            }

            presented = [.. lease.Segments];
            lease.IsBeingRestored = true;
        }

        if (presented.Exists(segment => segment.File is null))
        {
            throw new InvalidOperationException("A segment that came without a descriptor cannot be shown to a server.");
        }

        var taken = new List<(List<HeldSegment> Segments, LeaseAnswer Answer)>();
        PoolFaultException? refusal = null;
        try
        {
            foreach (var part in PartsOf(presented))
            {
                taken.Add((part, await PresentAsync(connection, lease, part, cancellationToken).ConfigureAwait(false)));
            }
        }
        catch (PoolFaultException fault)
        {
            refusal = fault;
        }
        catch
        {
            // Nothing is noted: the next connection presents all of it again, and the server knows what it has seen.
            EndRestoring(lease, presented);
            throw;
        }

        if (taken.Count > 0)
        {
            Restored(connection, lease, presented, taken, refusal?.Message);
        }
        else
        {
            Lose(lease, $"The server was started anew and does not take it over: {refusal?.Message}", connection.Epoch);
        }

        EndRestoring(lease, presented);
    }

    /// <summary>
    /// A call at a time populates and page-locks little enough for its deadline, and for the server to answer others meanwhile. The server adds a
    /// part to those before it by the lease's token.
    /// </summary>
    private static List<List<HeldSegment>> PartsOf(List<HeldSegment> presented)
    {
        var parts = new List<List<HeldSegment>>();
        var lengthBytes = 0L;
        foreach (var segment in presented)
        {
            if (parts.Count == 0 || parts[^1].Count == MaxPresentedSegments || segment.LengthBytes > MaxPresentedBytes - lengthBytes)
            {
                parts.Add([]);
                lengthBytes = 0;
            }

            parts[^1].Add(segment);
            lengthBytes += segment.LengthBytes;
        }

        return parts;
    }

    private async Task<LeaseAnswer> PresentAsync(
        PoolConnection connection, ServerLease lease, List<HeldSegment> part, CancellationToken cancellationToken)
    {
        var request = new RestoreRequest { Session = connection.SessionBytes, LeaseToken = Bytes(lease.Token), Name = _options.ClientName };
        request.SegmentLengths.AddRange(part.Select(segment => segment.LengthBytes));
        var time = PoolClientOptions.MakingTime(part.Sum(segment => segment.LengthBytes));
        var answer = await connection.CallForLeaseAsync(
            PoolMethod.Restore, request, time, cancellationToken, [.. part.Select(segment => segment.File!)]).ConfigureAwait(false);
        answer.CloseFiles(); // they are those that were presented
        return answer.Segments.Count == part.Count ? answer : throw new PoolProtocolException(
            _options.EndPoint.ToString(), $"The server was shown {part.Count} segments and answered with {answer.Segments.Count}.");
    }

    private void Restored(
        PoolConnection connection,
        ServerLease lease,
        List<HeldSegment> presented,
        List<(List<HeldSegment> Segments, LeaseAnswer Answer)> taken,
        string? refusal)
    {
        long takenBytes, refusedBytes;
        lock (_gate)
        {
            presented.ForEach(segment => segment.IsKnown = false);
            foreach (var (segment, described) in taken.SelectMany(part => part.Segments.Zip(part.Answer.Segments)))
            {
                (segment.Id, segment.IsKnown) = (described.Id, true);
            }

            var last = taken[^1].Answer;
            (lease.Session, lease.Epoch, lease.Id, lease.Token) = (connection.Session, connection.Epoch, last.LeaseId, last.Token);
            (lease.IsKnown, lease.IsRevoked) = (true, false);
            if (!lease.IsShared)
            {
                _growing ??= lease;
            }

            takenBytes = taken.Sum(part => part.Answer.LengthBytes);
            refusedBytes = presented.Sum(segment => segment.LengthBytes) - takenBytes;
        }

        TransportLog.LeaseTakenOver(_logger, _options.EndPoint, takenBytes);
        if (refusal is not null)
        {
            TransportLog.LeaseLost(_logger, _options.EndPoint, refusedBytes, $"The server was started anew and takes over only a part of it: {refusal}");
        }
    }

    private void EndRestoring(ServerLease lease, List<HeldSegment> presented)
    {
        List<HeldSegment> returned;
        lock (_gate)
        {
            lease.IsBeingRestored = false;
            returned = presented.FindAll(segment => segment.IsReturned);
            if (returned.Count > 0)
            {
                TellUnsynchronized(lease, returned);
            }
        }

        returned.ForEach(segment => segment.CloseFile());
    }
}
