using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Giving memory back: unpinned, unmapped, and only then told to the server, in the background.</summary>
internal sealed partial class ServerMemorySource
{
    /// <exception cref="MemorySourceException">It could not be unpinned: it stays mapped and leased, because a device may still use it.</exception>
    public void GiveBack(ServerMemoryRegion region)
    {
        lock (_gate)
        {
            _regions.Remove(region);
        }

        if (Unmap(region.Address, region.LengthBytes, region.Pinning) is { } stuck)
        {
            throw stuck;
        }

        Drop(region.Lease, region.Segments);
    }

    /// <exception cref="MemorySourceException">What was taken could not be given back either; it carries both failures.</exception>
    private void RollBack(
        ServerLease lease, IReadOnlyList<HeldSegment> segments, nint address, long lengthBytes, RegionPinning? pinning, Exception failure)
    {
        if (Unmap(address, lengthBytes, pinning) is not { } stuck)
        {
            Drop(lease, segments);
            return;
        }

        throw new MemorySourceException(
            stuck.Operation, stuck.NativeErrorCode, stuck.NativeErrorName, stuck.RequestedBytes, stuck.LimitBytes,
            $"{stuck.Remedy} This was the undoing of a region that could not be made ready: {failure.Message}",
            new AggregateException(failure, stuck))
        {
            QuarantinedBytes = stuck.QuarantinedBytes,
        };
    }

    private MemorySourceException? Unmap(nint address, long lengthBytes, RegionPinning? pinning)
    {
        var failures = pinning?.Undo() ?? [];
        if (failures.Count == 0)
        {
            try
            {
                _range.Return(address, lengthBytes);
                return null;
            }
            catch (MemorySourceException refusal)
            {
                failures.Add(refusal);
            }
        }

        var first = failures[0] as MemorySourceException;
        return new MemorySourceException(
            first?.Operation ?? $"{_pinner?.Name}: unpin",
            first?.NativeErrorCode ?? 0,
            first?.NativeErrorName ?? failures[0].GetType().Name,
            first?.RequestedBytes ?? lengthBytes,
            limitBytes: null,
            $"The {lengthBytes} B of the region are quarantined: they stay mapped, and leased from the server, until the process ends, "
            + "because a device may still use them. Restart the process to give them back.",
            failures.Count == 1 ? failures[0] : new AggregateException(failures))
        {
            QuarantinedBytes = lengthBytes,
        };
    }

    /// <summary>Segments that nothing maps any more go back to the server; a lease of which nothing is left goes with them, unless it may grow again.</summary>
    private void Drop(ServerLease lease, IReadOnlyList<HeldSegment> segments)
    {
        lock (_gate)
        {
            foreach (var segment in segments)
            {
                lease.Segments.Remove(segment);
                segment.IsReturned = true;
            }

            if (lease.IsBeingRestored)
            {
                return; // the server is told, and the files are closed, when it has answered
            }

            TellUnsynchronized(lease, segments);
        }

        foreach (var segment in segments)
        {
            segment.CloseFile();
        }
    }

    private void TellUnsynchronized(ServerLease lease, IReadOnlyList<HeldSegment> returned)
    {
        if (lease.Segments.Count == 0 && lease != _growing)
        {
            _leases.Remove(lease);
            if (lease.IsKnown)
            {
                _outbox.Post(lease.Session, PoolMethod.Release, new ReleaseRequest { Session = Bytes(lease.Session), LeaseId = lease.Id });
            }
        }
        else if (lease.IsKnown && !lease.IsShared && returned.Any(segment => segment.IsKnown))
        {
            var request = new ShrinkRequest { Session = Bytes(lease.Session), LeaseId = lease.Id };
            request.SegmentIds.AddRange(returned.Where(segment => segment.IsKnown).Select(segment => segment.Id));
            _outbox.Post(lease.Session, PoolMethod.Shrink, request);
        }
    }

    private static Google.Protobuf.ByteString Bytes(Token token) => Google.Protobuf.ByteString.CopyFrom(token.ToBytes());
}
