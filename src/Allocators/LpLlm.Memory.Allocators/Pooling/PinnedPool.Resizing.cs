namespace LpLlm.Memory.Pooling;

/// <summary>Growth and trimming. One resize at a time, behind a semaphore and outside the spin lock.</summary>
internal sealed partial class PinnedPool
{
    private readonly SemaphoreSlim _resize = new(1, 1);
    private readonly CancellationTokenSource _closing = new();

    public async Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken)
    {
        await _resize.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _source.EnsureAvailable(Math.Max(0, _settings.InitialBytes - Interlocked.Read(ref _reserved)));
            while (Interlocked.Read(ref _reserved) < _settings.InitialBytes)
            {
                var before = _reserved;
                var report = progress is null
                    ? null
                    : new DirectProgress(bytes => progress.Report(new PinProgress(before + bytes, _settings.InitialBytes)));
                await AddSlabAsync(report, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _resize.Release();
        }
    }

    public long Trim(long keepBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keepBytes);
        if (Volatile.Read(ref _pendingLeases) > 0)
        {
            _fenced.Sweep();
        }

        try
        {
            _resize.Wait(_closing.Token); // behind a growth; disposal ends both
        }
        catch (OperationCanceledException)
        {
            throw new ObjectDisposedException(nameof(PinnedPool), $"Pool '{Name}' is disposed.");
        }

        CloseCaches();
        try
        {
            return Release(RemoveIdleSlabs(keepBytes));
        }
        finally
        {
            OpenCaches();
            _resize.Release();
        }
    }

    /// <summary>Takes from all the memory there is, and grows the pool while that has no room and the capacity allows.</summary>
    private async Task<(PinnedLease? Lease, MemorySourceException? Refusal)> GrowAndTakeAsync(
        RentRequest request, bool behindWaiters, CancellationToken cancellationToken)
    {
        while (request.LengthBytes <= _settings.SlabBytes)
        {
            var mayGrow = true;
            var lease = MustQueue(behindWaiters) ? null : TakeFromAll(request, out mayGrow);
            if (lease is not null || !mayGrow)
            {
                return (lease, null);
            }

            try
            {
                lease = await GrowAsync(request, behindWaiters, cancellationToken).ConfigureAwait(false);
            }
            catch (MemorySourceException refusal)
            {
                return (TakeFromAll(request, out _), refusal);
            }

            if (lease is not null || MustQueue(behindWaiters))
            {
                return (lease, null);
            }
        }

        return (null, null);
    }

    private bool MustQueue(bool behindWaiters) => behindWaiters && _queue.Count > 0;

    private async Task<PinnedLease?> GrowAsync(RentRequest request, bool behindWaiters, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            await _resize.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                // Whoever held the semaphore may have made room, and others may take what this call adds.
                PinnedLease? lease;
                while ((lease = MustQueue(behindWaiters) ? null : Take(request.LengthBytes, request.AlignmentBytes, out _)) is null
                    && request.LengthBytes <= NextSlabBytes())
                {
                    await AddSlabAsync(progress: null, either.Token).ConfigureAwait(false);
                }

                return lease;
            }
            finally
            {
                _resize.Release();
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            throw new ObjectDisposedException(nameof(PinnedPool), $"Pool '{Name}' was disposed while it grew.");
        }
    }

    /// <summary>Takes one slab from the source; the semaphore is held.</summary>
    private async Task AddSlabAsync(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var bytes = NextSlabBytes();
        var region = await _source.ReserveAsync(bytes, progress, cancellationToken).ConfigureAwait(false);
        var slab = new PoolSlab(this, region, _createAllocator(bytes));
        var disposed = false;
        _gate.Enter();
        try
        {
            disposed = _disposed;
            if (!disposed)
            {
                _slabs = [.. _slabs, slab];
                _unitMask = slab.Allocator.UnitBytes - 1;
                _hot = _slabs.Length - 1;
                _reserved += bytes;
                _pageable += IsPageable(slab) ? bytes : 0;
                _capabilities &= region.Capabilities;
            }
        }
        finally
        {
            _gate.Exit();
        }

        if (disposed)
        {
            region.Dispose();
            throw new ObjectDisposedException(nameof(PinnedPool), $"Pool '{Name}' was disposed while it grew.");
        }

        _queue.Serve();
        AllocatorsLog.SlabAdded(_logger, Name, bytes, _source.Name, _reserved, _settings.CapacityBytes);
    }

    private List<PoolSlab> RemoveIdleSlabs(long keepBytes)
    {
        var idle = new List<PoolSlab>();
        _gate.Enter();
        try
        {
            var left = _reserved;
            var kept = new List<PoolSlab>(_slabs.Length);
            for (var i = _slabs.Length - 1; i >= 0; i--)
            {
                var slab = _slabs[i];
                var bytes = slab.Allocator.CapacityBytes;
                if (slab.IsIdle && left - bytes >= keepBytes)
                {
                    left -= bytes;
                    idle.Add(slab);
                }
                else
                {
                    kept.Insert(0, slab);
                }
            }

            _slabs = [.. kept];
            _hot = 0;
        }
        finally
        {
            _gate.Exit();
        }

        return idle;
    }

    /// <summary>Unmaps slabs that no longer serve; their quota is free only once they are gone, so the limit always holds.</summary>
    private long Release(List<PoolSlab> slabs)
    {
        long released = 0;
        foreach (var slab in slabs)
        {
            if (TryRelease(slab.Region))
            {
                Refund(slab);
                released += slab.Allocator.CapacityBytes;
            }
        }

        return released;
    }

    /// <summary>Unmaps a region, or, if it cannot be page-unlocked, counts it as quarantined: nobody may map or use that range again.</summary>
    private bool TryRelease(MemoryRegion region)
    {
        try
        {
            region.Dispose();
            return true;
        }
        catch (MemorySourceException failure)
        {
            Interlocked.Add(ref _quarantined, region.LengthBytes);
            AllocatorsLog.RegionQuarantined(_logger, failure, Name, region.LengthBytes);
            return false;
        }
    }

    private void Refund(PoolSlab slab)
    {
        _gate.Enter();
        try
        {
            RefundUnsynchronized(slab);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void RefundUnsynchronized(PoolSlab slab)
    {
        _reserved -= slab.Allocator.CapacityBytes;
        _pageable -= IsPageable(slab) ? slab.Allocator.CapacityBytes : 0;
    }

    private long NextSlabBytes()
    {
        _gate.Enter();
        try
        {
            return NextSlabBytesUnsynchronized();
        }
        finally
        {
            _gate.Exit();
        }
    }

    private long NextSlabBytesUnsynchronized() => Math.Min(_settings.SlabBytes, _settings.CapacityBytes - _reserved);

    private static bool IsPageable(PoolSlab slab) => !slab.Capabilities.HasFlag(PoolCapabilities.PageLocked);

    /// <summary>Reports on the reporting thread; <see cref="Progress{T}"/> would reorder reports on the thread pool.</summary>
    private sealed class DirectProgress(Action<long> report) : IProgress<long>
    {
        public void Report(long value) => report(value);
    }
}
