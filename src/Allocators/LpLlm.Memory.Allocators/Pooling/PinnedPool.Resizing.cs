namespace LpLlm.Memory.Pooling;

/// <summary>Growth and trimming. One resize at a time, behind a semaphore and outside the spin lock.</summary>
internal partial class PinnedPool
{
    private readonly SemaphoreSlim _resize = new(1, 1);
    private readonly CancellationTokenSource _closing = new();

    private readonly RefusalMemory<MemorySourceException> _refusals;

    // Only waiters are answered with it: a rent that comes later asks the source, which knows at once whether its server is back.
    private readonly RefusalMemory<PoolTransportException> _outages;

    public Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken) => ResizeAsync(
        async token =>
        {
            var lengths = InitialSlabLengths();
            var missingBytes = lengths.Sum();
            _source.EnsureAvailable(missingBytes);
            var all = progress is null ? null : new OpeningProgress(progress, _reserved, _reserved + missingBytes);
            await Parallel.ForEachAsync(
                lengths,
                new ParallelOptions { MaxDegreeOfParallelism = _settings.OpensAhead ? 2 : 1, CancellationToken = token },
                (bytes, either) => AddSlabAsync(bytes, all?.OfSlab(bytes), either)).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

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

        try
        {
            return Release(RemoveIdleSlabs(keepBytes));
        }
        finally
        {
            _resize.Release();
        }
    }

    /// <summary>Takes from all the memory there is, and grows the pool if that has no room and the capacity allows.</summary>
    private async Task<(PinnedLease? Lease, MemorySourceException? Refusal)> GrowAndTakeAsync(
        RentRequest request, bool behindWaiters, CancellationToken cancellationToken)
    {
        if (request.LengthBytes > _settings.SlabBytes || MustQueue(behindWaiters))
        {
            return (null, null);
        }

        var lease = TakeFromAll(request, out var mayGrow);
        if (lease is not null || !mayGrow)
        {
            return (lease, null);
        }

        try
        {
            return (await GrowAsync(request, cancellationToken).ConfigureAwait(false), null);
        }
        catch (MemorySourceException refusal)
        {
            return (MustQueue(behindWaiters) ? null : TakeFromAll(request, out _), refusal);
        }
        catch (PoolTransportException)
        {
            // The server is out of reach, but a lease may have come back while it was asked.
            lease = MustQueue(behindWaiters) ? null : TakeFromAll(request, out _);
            if (lease is null)
            {
                throw;
            }

            return (lease, null);
        }
    }

    private bool MustQueue(bool behindWaiters) => behindWaiters && _queue.Count > 0;

    /// <summary>
    /// Decided while nothing else resizes: whoever did so before may have made room, others may take what this call adds, and null is final,
    /// because no slab is on its way in or out.
    /// </summary>
    private Task<PinnedLease?> GrowAsync(RentRequest request, CancellationToken cancellationToken) => ResizeAsync(
        async token =>
        {
            PinnedLease? lease;
            while ((lease = TakeFromAll(request, out _)) is null && request.LengthBytes <= NextSlabBytes())
            {
                if (_refusals.Fresh is { } refusal)
                {
                    throw refusal;
                }

                await AddSlabAsync(NextSlabBytes(), progress: null, token).ConfigureAwait(false);
            }

            return lease;
        },
        cancellationToken);

    private async Task<T> ResizeAsync<T>(Func<CancellationToken, Task<T>> resize, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            await _resize.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                return await resize(either.Token).ConfigureAwait(false);
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
    private async ValueTask AddSlabAsync(long bytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var region = await ReserveAsync(bytes, progress, cancellationToken).ConfigureAwait(false);
        Add(new PoolSlab(this, region, _createAllocator(bytes)));
        _queue.Serve();
        AllocatorsLog.SlabAdded(_logger, Name, bytes, _source.Name, _reserved, _settings.CapacityBytes);
    }

    /// <exception cref="ObjectDisposedException">The pool was disposed meanwhile; the slab is given back.</exception>
    private void Add(PoolSlab slab)
    {
        var bytes = slab.Allocator.CapacityBytes;
        var disposed = false;
        _gate.Enter();
        try
        {
            disposed = _disposed;
            if (!disposed)
            {
                _slabs = [.. _slabs, slab];
                _unitMask = slab.Allocator.UnitBytes - 1;
                _reserved += bytes;
                _pageable += IsPageable(slab) ? bytes : 0;
                _capabilities &= slab.Capabilities;
                if (slab.IsWhole)
                {
                    CountRentUnsynchronized(bytes);
                }
                else
                {
                    _hot = _slabs.Length - 1;
                }
            }
        }
        finally
        {
            _gate.Exit();
        }

        if (disposed)
        {
            TryRelease(slab);
            throw new ObjectDisposedException(nameof(PinnedPool), $"Pool '{Name}' was disposed while it grew.");
        }
    }

    private List<PoolSlab> RemoveIdleSlabs(long keepBytes)
    {
        var idle = new List<PoolSlab>();
        CloseCaches(); // a cached block keeps its slab from being idle
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
            OpenCaches(); // before anything is unmapped: that may take seconds
        }

        return idle;
    }

    /// <summary>Unmaps slabs that no longer serve; their quota is free only once they are gone, so the limit always holds.</summary>
    private long Release(List<PoolSlab> slabs)
    {
        long released = 0;
        foreach (var slab in slabs)
        {
            if (TryRelease(slab))
            {
                Refund(slab);
                released += slab.Allocator.CapacityBytes;
            }
        }

        return released;
    }

    private async Task<MemoryRegion> ReserveAsync(long bytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        try
        {
            var region = await _source.ReserveAsync(bytes, progress, cancellationToken).ConfigureAwait(false);
            _refusals.Forget();
            _outages.Forget();
            return region;
        }
        catch (MemorySourceException refusal)
        {
            _refusals.Remember(refusal);
            if (refusal.QuarantinedBytes > 0)
            {
                Quarantine(bytes, reserved: bytes, refusal); // else every further try would leave as much behind
            }

            throw;
        }
    }

    /// <summary>Unmaps a slab, or, if it cannot be page-unlocked, counts it as quarantined: nobody may map or use that range again.</summary>
    private bool TryRelease(PoolSlab slab)
    {
        try
        {
            slab.Region.Dispose();
            return true;
        }
        catch (MemorySourceException failure)
        {
            Quarantine(slab.Allocator.CapacityBytes, reserved: 0, failure);
            return false;
        }
    }

    private void Quarantine(long bytes, long reserved, MemorySourceException failure)
    {
        _gate.Enter();
        try
        {
            _quarantined += bytes;
            _reserved += reserved;
        }
        finally
        {
            _gate.Exit();
        }

        AllocatorsLog.RegionQuarantined(_logger, failure, Name, bytes);
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

    private List<long> InitialSlabLengths()
    {
        var lengths = new List<long>();
        for (var planned = Interlocked.Read(ref _reserved); planned < _settings.InitialBytes; planned += lengths[^1])
        {
            lengths.Add(SlabBytesBehind(planned));
        }

        return lengths;
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

    private long NextSlabBytesUnsynchronized() => SlabBytesBehind(_reserved);

    private long SlabBytesBehind(long reservedBytes) => Math.Min(_settings.SlabBytes, _settings.CapacityBytes - reservedBytes);

    private static bool IsPageable(PoolSlab slab) => !slab.Capabilities.HasFlag(PoolCapabilities.PageLocked);
}
