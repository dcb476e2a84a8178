using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using LpLlm.Memory.Tlsf;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// The pool: slabs from one memory source, divided by block allocators. This part rents and takes back; growth, waiting and
/// disposal are in the other parts.
/// </summary>
/// <remarks>
/// One spin lock guards slabs, accounts and queue. It is held for tens of nanoseconds of arithmetic, never across a system call,
/// an await or a callback; an ordinary lock costs three times as much once two threads meet. Methods that need it end in Unsynchronized.
/// Not sealed: a server's pool is one, so that its rents pass no call more than these.
/// </remarks>
internal partial class PinnedPool : IPinnedMemoryPool, IOpenablePool
{
    private readonly PinnedPoolSettings _settings;
    private readonly IMemorySource _source;
    private readonly Func<long, IBlockAllocator> _createAllocator;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FencedReturns<PendingBlock> _fenced;
    private readonly RentQueue _queue;

    private SpinGate _gate;
    private PoolSlab[] _slabs = [];
    private int _hot;
    private PoolCapabilities _capabilities;
    private long _reserved;
    private long _pageable;
    private long _quarantined;
    private long _stranded;
    private long _unitMask;
    private long _used;
    private long _pending;
    private long _peak;
    private long _live;
    private long _pendingLeases;
    private long _totalRents;
    private long _failedRents;
    private bool _disposed;

    public PinnedPool(
        PinnedPoolSettings settings,
        IMemorySource source,
        ILogger logger,
        TimeProvider? time = null,
        Func<long, IBlockAllocator>? createAllocator = null)
    {
        _settings = settings;
        _source = source;
        _logger = logger;
        _time = time ?? TimeProvider.System;
        _createAllocator = createAllocator ?? (capacityBytes => new TlsfAllocator(capacityBytes));
        _capabilities = source.Capabilities;
        _fenced = new FencedReturns<PendingBlock>(
            pending => Free(pending.Slab, pending.Block, wasPending: true),
            Strand);
        _queue = new RentQueue(_time, TakeForWaiter);
        _refusals = new RefusalMemory<MemorySourceException>(_time);
        _outages = new RefusalMemory<PoolTransportException>(_time);
        _cacheBytes = CacheBytesFor(settings);
        _caches = _cacheBytes > 0 ? new ThreadCaches<BlockCache>(() => new BlockCache(_cacheBytes), DrainCache) : null;
    }

    public string Name => _settings.Name;

    public PoolCapabilities Capabilities => _capabilities;

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        if ((TakeCached(lengthBytes, alignmentBytes) ?? Take(lengthBytes, alignmentBytes, out _)) is { } lease)
        {
            return lease;
        }

        return RentSlowly(lengthBytes, alignmentBytes, out var refusal) ?? throw Exhausted(lengthBytes, waited: null, refusal);
    }

    public bool TryRent(
        long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        RentArguments.Check(lengthBytes, alignmentBytes);
        lease = TakeCached(lengthBytes, alignmentBytes) ?? Take(lengthBytes, alignmentBytes, out _);
        if (lease is null)
        {
            lease = RentSlowly(lengthBytes, alignmentBytes, out var refusal);
            if (lease is null && refusal is not null)
            {
                AllocatorsLog.GrowthRefused(_logger, refusal, Name, lengthBytes);
            }
        }

        return lease is not null;
    }

    public PoolSnapshot GetSnapshot()
    {
        _gate.Enter();
        try
        {
            var largest = Math.Min(_settings.SlabBytes, _settings.CapacityBytes - _reserved);
            foreach (var slab in _slabs)
            {
                largest = Math.Max(largest, slab.Allocator.LargestFreeBytes);
            }

            // A block that moves from one cache to another meanwhile may be counted twice.
            var cached = Math.Min(_used, _caches?.Sum(static cache => cache.Bytes) ?? 0);
            return new PoolSnapshot
            {
                CapacityBytes = _settings.CapacityBytes,
                ReservedBytes = _reserved,
                PageableBytes = _pageable,
                UsedBytes = _used - cached,
                PendingBytes = _pending,
                CachedBytes = cached,
                QuarantinedBytes = _quarantined,
                LargestFreeBytes = largest,
                PeakUsedBytes = _peak,
                LiveLeases = Math.Max(0, _live - (_caches?.Sum(static cache => cache.CountBlocks()) ?? 0)),
                WaitingRents = _queue.Count,
                TotalRents = _totalRents + (_caches?.Sum(static cache => cache.Hits) ?? 0),
                FailedRents = Volatile.Read(ref _failedRents),
            };
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Takes a lease back, at once or when its fence completes.</summary>
    public void TakeBack(PoolSlab slab, in LeasedBlock block, IFence? fence)
    {
        if (fence is null || FencedReturns<PendingBlock>.HasCompleted(fence))
        {
            if (!TryCache(slab, block))
            {
                Free(slab, block, wasPending: false);
            }

            return;
        }

        Suspend(slab, block, fence);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Suspend(PoolSlab slab, in LeasedBlock block, IFence fence)
    {
        var bytes = slab.RoundedBytes(block.LengthBytes);
        _gate.Enter();
        try
        {
            _used -= bytes;
            _pending += bytes;
            _live--;
            _pendingLeases++;
        }
        finally
        {
            _gate.Exit();
        }

        _fenced.Add(new PendingBlock(slab, block), fence);
    }

    [MethodImpl(MethodImplOptions.NoInlining)] // its locals would be zeroed on every cache hit
    private PinnedLease? Take(long lengthBytes, int alignmentBytes, out bool mayGrow)
    {
        PoolSlab? slab;
        BlockHandle block;
        _gate.Enter();
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            mayGrow = false;
            if (!TakeUnsynchronized(lengthBytes, alignmentBytes, out slab, out block))
            {
                // Read under the gate: a slab that is being added or given back shows either here or in the slabs just searched.
                mayGrow = lengthBytes <= NextSlabBytesUnsynchronized()
                    || (_resize.CurrentCount == 0 && lengthBytes <= _settings.SlabBytes);
                return null;
            }
        }
        finally
        {
            _gate.Exit();
        }

        return slab.Lease(block, lengthBytes);
    }

    private bool TakeUnsynchronized(
        long lengthBytes, int alignmentBytes, [NotNullWhen(true)] out PoolSlab? slab, out BlockHandle block)
    {
        var slabs = _slabs;
        if ((uint)_hot < (uint)slabs.Length && slabs[_hot].Allocator.TryAllocate(lengthBytes, alignmentBytes, out block))
        {
            slab = slabs[_hot];
            CountRentUnsynchronized(block.LengthBytes);
            return true;
        }

        for (var i = 0; i < slabs.Length; i++)
        {
            if (i != _hot && slabs[i].Allocator.TryAllocate(lengthBytes, alignmentBytes, out block))
            {
                _hot = i;
                slab = slabs[i];
                CountRentUnsynchronized(block.LengthBytes);
                return true;
            }
        }

        slab = null;
        block = default;
        return false;
    }

    private void CountRentUnsynchronized(long roundedBytes)
    {
        _used += roundedBytes;
        _live++;
        _totalRents++;
        _peak = Math.Max(_peak, _used + _pending);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Free(PoolSlab slab, in LeasedBlock block, bool wasPending)
    {
        PoolSlab? abandoned = null;
        _gate.Enter();
        try
        {
            var bytes = slab.RoundedBytes(block.LengthBytes);
            slab.FreeUnsynchronized(block.Address, bytes, block.Token);
            if (wasPending)
            {
                _pending -= bytes;
                _pendingLeases--;
            }
            else
            {
                _used -= bytes;
                _live--;
            }

            if (_disposed || slab.IsWhole)
            {
                abandoned = AbandonUnsynchronized(slab);
            }
        }
        finally
        {
            _gate.Exit();
        }

        Abandon(abandoned);
        if (_queue.Count > 0)
        {
            _queue.Serve();
        }
    }

    /// <summary>A device may still write to the block, for ever: it stays pending, and nobody waits for it.</summary>
    private void Strand(PendingBlock pending, Exception failure)
    {
        _gate.Enter();
        try
        {
            _stranded += pending.Slab.RoundedBytes(pending.Block.LengthBytes);
        }
        finally
        {
            _gate.Exit();
        }

        AllocatorsLog.FenceFailed(_logger, failure, Name, pending.Block.LengthBytes);
    }

    private PinnedMemoryExhaustedException Exhausted(long lengthBytes, TimeSpan? waited, MemorySourceException? refusal) =>
        Exhausted(lengthBytes, _settings.SlabBytes, "CapacityBytes", waited, refusal);

    private PinnedMemoryExhaustedException Exhausted(
        long lengthBytes, long largestBytes, string limitName, TimeSpan? waited, MemorySourceException? refusal)
    {
        var snapshot = GetSnapshot();
        var cause = refusal is not null ? ExhaustionCause.NoMemory
            : lengthBytes > largestBytes
                || lengthBytes > snapshot.CapacityBytes - snapshot.UsedBytes - snapshot.QuarantinedBytes ? ExhaustionCause.Limit
            : lengthBytes > snapshot.FreeBytes + snapshot.CachedBytes ? ExhaustionCause.Pending
            : ExhaustionCause.Fragmented;
        return new PinnedMemoryExhaustedException(
            Name, cause, lengthBytes, largestBytes, snapshot, waited, limitName, refusal);
    }

    /// <summary>A block that waits for its fence.</summary>
    private readonly record struct PendingBlock(PoolSlab Slab, LeasedBlock Block);
}
