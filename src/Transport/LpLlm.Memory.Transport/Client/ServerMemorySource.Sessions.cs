using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>What happens between connections: leases are compared, or presented to a server that was started anew.</summary>
internal sealed partial class ServerMemorySource
{
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
                var ids = held.Segments.Select(segment => segment.Id).ToHashSet();
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
        lock (_gate)
        {
            var lease = _leases.Find(held => held.IsKnown && held.Id == leaseId);
            if (lease is null or { IsRevoked: true })
            {
                return;
            }

            lease.IsRevoked = true;
            _growing = _growing == lease ? null : _growing;
            lengthBytes = lease.LengthBytes;
            if (lengthBytes == 0)
            {
                TellUnsynchronized(lease, []);
            }
        }

        // The regions stay mapped: only the pool knows which of them are idle, and gives those back.
        TransportLog.LeaseTakenAway(_logger, _options.EndPoint, lengthBytes, reason);
        if (lengthBytes > 0)
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

        LeaseAnswer? answer = null;
        try
        {
            var request = new RestoreRequest { Session = connection.SessionBytes, LeaseToken = Bytes(lease.Token), Name = _options.ClientName };
            request.SegmentLengths.AddRange(presented.Select(segment => segment.LengthBytes));
            answer = await connection.CallForLeaseAsync(
                PoolMethod.Restore, request, TimeSpan.Zero, cancellationToken, [.. presented.Select(segment => segment.File!)]).ConfigureAwait(false);
            answer.CloseFiles(); // they are those that were presented
            if (answer.Segments.Count != presented.Count)
            {
                throw new PoolProtocolException(
                    _options.EndPoint.ToString(), $"The server was shown {presented.Count} segments and answered with {answer.Segments.Count}.");
            }

            Restored(connection, lease, presented, answer);
        }
        catch (PoolFaultException refusal)
        {
            Lose(lease, $"The server was started anew and does not take it over: {refusal.Message}", connection.Epoch);
        }
        finally
        {
            EndRestoring(lease, presented);
        }
    }

    private void Restored(PoolConnection connection, ServerLease lease, List<HeldSegment> presented, LeaseAnswer answer)
    {
        long lengthBytes;
        lock (_gate)
        {
            foreach (var (segment, described) in presented.Zip(answer.Segments))
            {
                segment.Id = described.Id;
            }

            (lease.Session, lease.Epoch, lease.Id, lease.Token) = (connection.Session, connection.Epoch, answer.LeaseId, answer.Token);
            (lease.IsKnown, lease.IsRevoked) = (true, false);
            if (!lease.IsAttached)
            {
                _growing ??= lease;
            }

            lengthBytes = lease.LengthBytes;
        }

        TransportLog.LeaseTakenOver(_logger, _options.EndPoint, lengthBytes);
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
