namespace LpLlm.Memory.Pooling;

/// <summary>The one region: taken when the pool opens or at the first rent, given back as a whole. Accounts.</summary>
internal sealed partial class FixedBlockPool
{
    private const int TrimAttempts = 3;

    private readonly SemaphoreSlim _resize = new(1, 1);
    private readonly CancellationTokenSource _closing = new();
    private readonly RefusalMemory<MemorySourceException> _refusals;

    // Odd while there is no region, or somebody who holds the semaphore has all blocks in hand: then an empty stack means nothing.
    private int _phase = 1;
    private MemoryRegion? _region;

    // The chain of all blocks while there is no region.
    private int _idleFirst;
    private int _idleLast;
    private MemorySourceException? _quarantine;
    private long _reserved;
    private PoolCapabilities _capabilities;

    public PoolCapabilities Capabilities => _capabilities;

    PoolCapabilities IPinnedLeaseOwner.Capabilities => _region?.Capabilities ?? _capabilities;

    private long RegionBytes => _strideBytes * Blocks;

    public Task OpenAsync(IProgress<PinProgress>? progress, CancellationToken cancellationToken) => OpenRegionAsync(
        progress is null ? null : new DirectProgress(bytes => progress.Report(new PinProgress(bytes, RegionBytes))), cancellationToken);

    public long Trim(long keepBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(keepBytes);
        long released;
        WaitForResize();
        try
        {
            released = _region is not null && keepBytes == 0 && TryShut() ? ReleaseRegion(_region) : 0;
        }
        finally
        {
            _resize.Release();
        }

        if (_queue.Count > 0)
        {
            _queue.Serve(); // a rent that came to wait while all blocks were in hand here
        }

        return released;
    }

    public PoolSnapshot GetSnapshot()
    {
        long returns, rents, cached;
        _moving.Enter();
        try
        {
            // Returns first: what happens in between shows as leases that are still out.
            returns = _accounts.Returns + _caches.Sum(static cache => cache.Returns);
            rents = _accounts.Rents + _caches.Sum(static cache => cache.Rents);
            cached = _caches.Sum(static cache => cache.Count);
        }
        finally
        {
            _moving.Exit();
        }

        var pending = Math.Min(_accounts.Pending, Blocks);
        var live = Math.Clamp(rents - returns, 0, Blocks - pending);
        cached = Math.Min(cached, Blocks - pending - live);
        var reserved = Volatile.Read(ref _reserved);
        var quarantined = _quarantine is null ? 0 : RegionBytes;
        return new PoolSnapshot
        {
            CapacityBytes = RegionBytes,
            ReservedBytes = reserved,
            PageableBytes = _region is { } region && !region.Capabilities.HasFlag(PoolCapabilities.PageLocked) ? reserved : 0,
            UsedBytes = live * _strideBytes,
            PendingBytes = pending * _strideBytes,
            CachedBytes = cached * _strideBytes,
            QuarantinedBytes = quarantined,
            LargestFreeBytes = live + pending < Blocks && _quarantine is null ? _blockBytes : 0,
            PeakUsedBytes = Math.Clamp(_accounts.Peak, live + pending + cached, Blocks) * _strideBytes,
            LiveLeases = live,
            WaitingRents = _queue.Count,
            TotalRents = rents,
            FailedRents = _accounts.Failed,
        };
    }

    private static bool IsShut(int phase) => (phase & 1) != 0;

    /// <summary>Takes the region if there is none; behind whoever resizes now.</summary>
    private async Task OpenRegionAsync(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closing.Token);
        try
        {
            await _resize.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                if (_region is null)
                {
                    await TakeRegionAsync(progress, either.Token).ConfigureAwait(false);
                }
            }
            finally
            {
                _resize.Release();
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            throw DisposedMeanwhile();
        }
    }

    private async Task TakeRegionAsync(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        if (_quarantine is { } failure)
        {
            throw new MemorySourceException(
                "reserve",
                failure.NativeErrorCode,
                failure.NativeErrorName,
                RegionBytes,
                limitBytes: null,
                $"The pool's memory could not be unpinned when it was trimmed, so it counts as taken. {failure.Remedy}",
                failure);
        }

        if (_refusals.Fresh is { } refusal)
        {
            throw refusal;
        }

        var region = await ReserveAsync(progress, cancellationToken).ConfigureAwait(false);
        if (IsDisposed)
        {
            _region = region;
            ReleaseRegion(region);
            throw DisposedMeanwhile();
        }

        _region = region;
        _address = region.Address;
        _capabilities &= region.Capabilities;
        Volatile.Write(ref _reserved, RegionBytes);

        // In this order: an empty stack means "none is free" only once all blocks were in it.
        _free.Push(_idleFirst, _idleLast);
        Interlocked.Increment(ref _phase);
        AllocatorsLog.BlocksReserved(_logger, Name, Blocks, _strideBytes, _source.Name);
    }

    private async Task<MemoryRegion> ReserveAsync(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        try
        {
            var region = await _source.ReserveAsync(RegionBytes, progress, cancellationToken).ConfigureAwait(false);
            _refusals.Forget();
            return region;
        }
        catch (MemorySourceException failure)
        {
            _refusals.Remember(failure);
            if (failure.QuarantinedBytes > 0)
            {
                Quarantine(failure); // else every further try would leave as much behind
                Volatile.Write(ref _reserved, RegionBytes);
            }

            throw;
        }
    }

    private void Quarantine(MemorySourceException failure)
    {
        _quarantine = failure;
        AllocatorsLog.BlocksQuarantined(_logger, failure, Name, RegionBytes);
    }

    /// <summary>Takes all blocks off the stack, if all are there. The semaphore is held.</summary>
    private bool TryShut()
    {
        Interlocked.Increment(ref _phase);
        _caches.Close();
        try
        {
            _caches.Drain();
            if (_accounts.Taken == 0 && TryTakeAllBlocks(TrimAttempts))
            {
                return true;
            }
        }
        finally
        {
            _caches.Open();
        }

        Interlocked.Increment(ref _phase);
        return false;
    }

    private bool TryTakeAllBlocks(int attempts)
    {
        if (!_free.TryPopExactly(Blocks, attempts, out var first) || first == BlockStack.None)
        {
            return false;
        }

        _idleFirst = first;
        for (_idleLast = first; _free.Next(_idleLast) != BlockStack.None; _idleLast = _free.Next(_idleLast))
        {
        }

        return true;
    }

    /// <summary>Gives the region back; returns how much that was. What the system refuses to unpin stays on the books, and is never used again.</summary>
    private long ReleaseRegion(MemoryRegion region)
    {
        try
        {
            region.Dispose();
        }
        catch (MemorySourceException failure)
        {
            Quarantine(failure);
            return 0;
        }
        finally
        {
            _region = null; // only now: the last lease after disposal reads it as "all is done"
        }

        Volatile.Write(ref _reserved, 0);
        return RegionBytes;
    }

    private void WaitForResize()
    {
        try
        {
            _resize.Wait(_closing.Token); // disposal ends it
        }
        catch (OperationCanceledException)
        {
            throw DisposedMeanwhile();
        }
    }

    private ObjectDisposedException DisposedMeanwhile() => new(nameof(FixedBlockPool), $"Pool '{Name}' is disposed.");
}
