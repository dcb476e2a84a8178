using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Joining another process's lease.</summary>
internal sealed partial class ServerMemorySource
{
    // Leases that are being joined, by token: under the gate.
    private readonly List<Token> _attaching = [];

    /// <summary>Joins a lease of another process of the same user: the same bytes, without a copy. They take room of this source's capacity.</summary>
    /// <param name="leaseToken">From the other's <see cref="ServerMemoryRegion.Token"/>.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>All segments of the lease, in order. Disposing lets go of the lease.</returns>
    /// <exception cref="InvalidOperationException">This source holds that lease already.</exception>
    /// <exception cref="PoolTransportException">There is no such lease for this user, or no connection.</exception>
    /// <exception cref="MemorySourceException">It has no room in this source's address range, or cannot be mapped.</exception>
    public async Task<ServerMemoryRegion> AttachAsync(Token leaseToken, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (IsHeldUnsynchronized(leaseToken) || _attaching.Contains(leaseToken))
            {
                throw new InvalidOperationException($"This source holds lease {leaseToken} already: attach from another process, or another source.");
            }

            _attaching.Add(leaseToken);
        }

        ServerLease lease;
        IReadOnlyList<HeldSegment> segments;
        Action? undo = null;
        try
        {
            var connection = await _client.GetAsync(cancellationToken).ConfigureAwait(false);
            using var deadline = new CancellationTokenSource(_options.RequestTimeout, _time);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            await GiveBackFirstAsync(end.Token, cancellationToken).ConfigureAwait(false); // an attempt that is being undone, for one
            (lease, segments) = await AttachAsync(connection, leaseToken, undoLater => undo = undoLater, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _attaching.Remove(leaseToken);
            }

            undo?.Invoke(); // only now: as long as the lease is being joined, undoing believes that it is wanted again
        }

        var lengthBytes = segments.Sum(segment => segment.LengthBytes);
        nint address;
        try
        {
            address = _range.Take(Math.Max(lengthBytes, PoolProtocol.UnitBytes));
        }
        catch
        {
            Drop(lease, segments);
            throw;
        }

        return await MakeReadyAsync(lease, segments, address, lengthBytes, null, cancellationToken).ConfigureAwait(false);
    }

    private async Task<(ServerLease Lease, IReadOnlyList<HeldSegment> Segments)> AttachAsync(
        PoolConnection connection, Token leaseToken, Action<Action> onUnanswered, CancellationToken cancellationToken)
    {
        var request = new AttachRequest { Session = connection.SessionBytes, LeaseToken = Bytes(leaseToken) };
        connection.Enter();
        try
        {
            var answer = await connection.CallForLeaseAsync(PoolMethod.Attach, request, TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
            return (Record(connection, answer, isShared: true), answer.Segments);
        }
        catch (PoolFaultException unknown) when (unknown.Code == PoolFaultCode.NotFound)
        {
            throw new PoolRequestRejectedException(
                _options.EndPoint.ToString(),
                (int)unknown.Code,
                $"{unknown.Message} It can be joined while a process of the same user holds it, at the same server: have one rented, and kept, and its token sent again.");
        }
        catch (PoolFaultException refusal) when (refusal.Code is PoolFaultCode.PermissionDenied or PoolFaultCode.Aborted)
        {
            throw FaultCodec.ToException(refusal, _options.EndPoint, 0);
        }
        catch (Exception failure)
        {
            // Joined all the same, if only the answer got lost or could not be sent. There is no request id by which to undo it.
            onUnanswered(() => _outbox.Post(connection.Session, PoolMethod.Attach, current => LetGoOfAsync(current, request)));
            if (failure is PoolFaultException fault)
            {
                throw FaultCodec.ToException(fault, _options.EndPoint, 0);
            }

            throw;
        }
        finally
        {
            connection.Exit();
        }
    }

    /// <summary>Joins once more, which changes nothing where the first time did, to learn what to let go of.</summary>
    private async Task LetGoOfAsync(PoolConnection connection, AttachRequest request)
    {
        var answer = await connection.CallForLeaseAsync(PoolMethod.Attach, request, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
        answer.CloseFiles();
        lock (_gate)
        {
            if (IsHeldUnsynchronized(answer.Token) || _attaching.Contains(answer.Token))
            {
                return; // it was asked for again meanwhile
            }
        }

        var release = new ReleaseRequest { Session = connection.SessionBytes, LeaseId = answer.LeaseId };
        await connection.CallAsync(PoolMethod.Release, release, ReleaseReply.Parser, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
    }

    private bool IsHeldUnsynchronized(Token leaseToken) => _leases.Exists(lease => lease.Token == leaseToken);
}
