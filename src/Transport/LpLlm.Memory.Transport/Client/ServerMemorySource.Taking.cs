using System.Runtime.ExceptionServices;
using Google.Protobuf;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Taking memory: a lease, or more segments of it, then addresses, then pins.</summary>
internal sealed partial class ServerMemorySource
{
    /// <summary>
    /// Takes segments. A reply that got lost with its connection is asked for again under the same id, on the next connection if one comes at
    /// once; whatever else leaves the outcome unknown is withdrawn in the background. So a request takes effect once, or not at all.
    /// </summary>
    private async Task<(ServerLease Lease, IReadOnlyList<HeldSegment> Segments)> TakeAsync(
        long lengthBytes, bool isShared, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(
            _options.RequestTimeout + _options.AcquireTimeout + PoolClientOptions.MakingTime(lengthBytes), _time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var id = Token.Create();
        var connection = await _client.GetAsync(cancellationToken).ConfigureAwait(false);
        await GiveBackFirstAsync(end.Token, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            var lease = isShared ? null : GrowingLease(connection);
            try
            {
                return await TakeAsync(connection, lease, id, lengthBytes, isShared, cancellationToken).ConfigureAwait(false);
            }
            catch (PoolFaultException fault)
            {
                Withdraw(connection, id); // granted all the same, if only the reply could not be sent: too long, or no descriptor left
                if (lease is null || !MustLeave(lease, fault))
                {
                    throw FaultCodec.ToException(fault, _options.EndPoint, lengthBytes);
                }

                id = Token.Create();
            }
            catch (PoolServerUnavailableException lost) when (connection.Lost.IsCancellationRequested && !connection.IsSilent)
            {
                connection = await AfterLossAsync(connection, id, lost, end.Token, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                Withdraw(connection, id);
                throw;
            }
        }
    }

    private async Task<(ServerLease Lease, IReadOnlyList<HeldSegment> Segments)> TakeAsync(
        PoolConnection connection, ServerLease? lease, Token id, long lengthBytes, bool isShared, CancellationToken cancellationToken)
    {
        connection.Enter();
        try
        {
            var answer = await connection.CallForLeaseAsync(
                lease is null ? PoolMethod.Acquire : PoolMethod.Grow,
                lease is null ? AcquireRequestOf(connection, id, lengthBytes) : GrowRequestOf(connection, lease, id, lengthBytes),
                _options.AcquireTimeout + PoolClientOptions.MakingTime(lengthBytes),
                cancellationToken).ConfigureAwait(false);
            if (answer.LengthBytes != lengthBytes)
            {
                answer.CloseFiles();
                throw new PoolProtocolException(
                    _options.EndPoint.ToString(), $"The server sent segments of {answer.LengthBytes} B for a request of {lengthBytes} B.");
            }

            return (Record(connection, answer, isShared), answer.Segments);
        }
        finally
        {
            connection.Exit();
        }
    }

    /// <summary>What was given back is told before more is asked for: else the server could refuse for want of this client's own memory.</summary>
    private async Task GiveBackFirstAsync(CancellationToken end, CancellationToken cancellationToken)
    {
        try
        {
            await _outbox.WhenSent().WaitAsync(end).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolServerUnavailableException(
                _options.EndPoint.ToString(), "The server does not answer in time. It may be overloaded: look at its log.");
        }
    }

    private async Task<PoolConnection> AfterLossAsync(
        PoolConnection lost, Token id, PoolServerUnavailableException failure, CancellationToken end, CancellationToken cancellationToken)
    {
        try
        {
            return await _client.GetNextAsync(lost, end).ConfigureAwait(false);
        }
        catch (Exception gaveUp)
        {
            Withdraw(lost, id);
            if (gaveUp is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                ExceptionDispatchInfo.Throw(failure); // the deadline passed
            }

            throw;
        }
    }

    /// <summary>Whether another lease may be had where this one cannot grow: the server has not got it any more, wants it back, or it is full.</summary>
    private bool MustLeave(ServerLease lease, PoolFaultException fault)
    {
        switch (fault.Code)
        {
            case PoolFaultCode.NotFound:
                Lose(lease, fault.Message);
                return true;
            case PoolFaultCode.Aborted:
                Revoked(lease.Id, fault.Message); // this answer overtook the event
                return true;
            case PoolFaultCode.ResourceExhausted
                when FaultCodec.DataOf(fault).LimitName is nameof(PoolEngineSettings.MaxLeaseBytes) or nameof(PoolEngineSettings.MaxSegmentsPerLease):
                lock (_gate)
                {
                    _growing = _growing == lease ? null : _growing;
                    return lease.Segments.Count > 0;
                }

            default:
                return false;
        }
    }

    private AcquireRequest AcquireRequestOf(PoolConnection connection, Token id, long lengthBytes) => new()
    {
        Session = connection.SessionBytes,
        RequestId = ByteString.CopyFrom(id.ToBytes()),
        LengthBytes = lengthBytes,
        TimeoutMs = (long)_options.AcquireTimeout.TotalMilliseconds,
        Name = _options.ClientName,
    };

    private GrowRequest GrowRequestOf(PoolConnection connection, ServerLease lease, Token id, long lengthBytes)
    {
        lock (_gate)
        {
            return new GrowRequest
            {
                Session = connection.SessionBytes,
                RequestId = ByteString.CopyFrom(id.ToBytes()),
                LeaseId = lease.Id,
                LengthBytes = lengthBytes,
                TimeoutMs = (long)_options.AcquireTimeout.TotalMilliseconds,
            };
        }
    }

    private void Withdraw(PoolConnection connection, Token id)
    {
        var request = new WithdrawRequest { Session = connection.SessionBytes, RequestId = ByteString.CopyFrom(id.ToBytes()) };
        _outbox.Post(connection.Session, PoolMethod.Withdraw, request);
    }

    private ServerLease? GrowingLease(PoolConnection connection)
    {
        lock (_gate)
        {
            return _growing is { IsKnown: true, IsRevoked: false } lease && lease.Session == connection.Session ? lease : _growing = null;
        }
    }

    /// <summary>Notes what a reply has brought.</summary>
    private ServerLease Record(PoolConnection connection, LeaseAnswer answer, bool isShared)
    {
        lock (_gate)
        {
            var lease = _leases.Find(held => held.IsKnown && held.Session == connection.Session && held.Id == answer.LeaseId);
            if (lease is null)
            {
                lease = new ServerLease(connection.Session, connection.Epoch, answer.LeaseId, answer.Token, isShared);
                _leases.Add(lease);
            }

            if (!isShared)
            {
                _growing ??= lease;
            }

            lease.Segments.AddRange(answer.Segments);
            return lease;
        }
    }

    /// <summary>Maps and pins what was taken; if that fails, gives it back.</summary>
    private async Task<ServerMemoryRegion> MakeReadyAsync(
        ServerLease lease, IReadOnlyList<HeldSegment> segments, nint address, long lengthBytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        RegionPinning? pinning = null;
        try
        {
            var at = address;
            foreach (var segment in segments)
            {
                segment.MapAt(_range, at, _options.EndPoint.ToString());
                at += (nint)segment.LengthBytes;
            }

            var capabilities = PoolCapabilities.Shared
                | (segments.All(segment => segment.IsPageLocked) ? PoolCapabilities.PageLocked : PoolCapabilities.None);
            if (_pinner is not null && (_pinner.Capabilities & ~capabilities) != PoolCapabilities.None)
            {
                var eager = _options.Pinning == SegmentPinning.Eager;
                pinning = new RegionPinning(_pinner, address, lengthBytes, eager ? _options.EagerPieceBytes : _options.LazyPieceBytes);
                if (eager)
                {
                    // A device registers some 20 GiB/s: never on the caller's thread.
                    await Task.Run(() => pinning.Pin(progress, cancellationToken), CancellationToken.None).ConfigureAwait(false);
                    capabilities |= _pinner.Capabilities;
                }
                else if (pinning.Start(_logger))
                {
                    capabilities |= _pinner.Capabilities & PoolCapabilities.DeviceVisible;
                }
            }

            if (pinning is null || _options.Pinning != SegmentPinning.Eager)
            {
                progress?.Report(lengthBytes);
            }

            var region = new ServerMemoryRegion(this, lease, segments, address, lengthBytes, capabilities, pinning);
            lock (_gate)
            {
                _regions.Add(region);
            }

            return region;
        }
        catch (Exception failure)
        {
            RollBack(lease, segments, address, lengthBytes, pinning, failure);
            throw;
        }
    }
}
