using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// A pool of blocks of one length: one region, a lock-free stack of free blocks, and small caches of the threads on top of it. This part rents and
/// takes back while there are blocks; what happens without any, the region, accounts and disposal are in the other parts.
/// </summary>
/// <remarks>
/// The word of a block holds its generation and, in the low two bits, its state. A lease's token is the block's number and the word it was leased
/// with, and a return swaps exactly that word: a stale, foreign or second return changes nothing.
/// </remarks>
internal sealed partial class FixedBlockPool : IFixedBlockPool, IOpenablePool, IPinnedLeaseOwner
{
    private const int StateBits = 3;
    private const int Leased = 1;
    private const int Pending = 2;
    private const int NextGeneration = 4;

    // One contended exchange serves this many rents: with 32 blocks in a cache, half of them moves at a time.
    private readonly int _batch;
    private readonly FixedBlockSettings _settings;
    private readonly IMemorySource _source;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly BlockStack _free;
    private readonly int[] _words;
    private readonly ThreadCaches<FixedBlockCache> _caches;
    private readonly FencedReturns<PendingBlock> _fenced;
    private readonly FixedBlockAccounts _accounts = new();
    private readonly long _blockBytes;
    private readonly long _strideBytes;
    private readonly int _alignmentBytes;

    private nint _address;

    // Held while a cache is emptied, so that a snapshot counts its blocks once.
    private SpinGate _moving;

    public FixedBlockPool(FixedBlockSettings settings, IMemorySource source, ILogger logger, TimeProvider? time = null)
    {
        _settings = settings;
        _source = source;
        _logger = logger;
        _time = time ?? TimeProvider.System;
        _blockBytes = settings.BlockBytes;
        _strideBytes = settings.StrideBytes;
        _alignmentBytes = settings.AlignmentBytes;
        _free = new BlockStack(settings.Blocks);
        _words = new int[settings.Blocks];
        _capabilities = source.Capabilities;

        // A thread that keeps back all of a small pool makes every other thread take it away again.
        var cached = Math.Min(settings.ThreadCacheBlocks, settings.Blocks / 4);
        _batch = (cached + 1) / 2;
        _caches = new ThreadCaches<FixedBlockCache>(() => new FixedBlockCache(cached), Drain);
        if (cached == 0)
        {
            _caches.Close();
        }

        _fenced = new FencedReturns<PendingBlock>(Retire, Strand);
        _refusals = new RefusalMemory<MemorySourceException>(_time);
        _queue = new RentQueue(_time, TakeForWaiter);
        _idleLast = settings.Blocks - 1;
        for (var block = 0; block < settings.Blocks; block++)
        {
            _free.Link(block, block + 1 < settings.Blocks ? block + 1 : BlockStack.None);
        }
    }

    public string Name => _settings.Name;

    string IPinnedLeaseOwner.PoolName => _settings.Name;

    public long BlockBytes => _blockBytes;

    public int Blocks => _settings.Blocks;

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        if (TryTakeCached(lengthBytes, alignmentBytes, out var lease))
        {
            return lease;
        }

        lease = RentSlowly(lengthBytes, alignmentBytes, out var refusal);
        return lease ?? throw Exhausted(lengthBytes, alignmentBytes, waited: null, refusal);
    }

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        if (TryTakeCached(lengthBytes, alignmentBytes, out lease))
        {
            return true;
        }

        lease = RentSlowly(lengthBytes, alignmentBytes, out var refusal);
        if (refusal is not null)
        {
            AllocatorsLog.BlocksRefused(_logger, refusal, Name, _source.Name);
        }

        return lease is not null;
    }

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
        var number = (int)(block.Token >> 32);
        var word = unchecked((int)block.Token);
        var words = _words;
        if ((uint)number >= (uint)words.Length || (word & StateBits) != Leased || block.Address - _address != (nint)(number * _strideBytes))
        {
            throw NotLeased(block);
        }

        if (fence is not null && !FencedReturns<PendingBlock>.HasCompleted(fence))
        {
            SetPending(block, number, word, fence);
            return;
        }

        if (Interlocked.CompareExchange(ref words[number], unchecked(word - Leased + NextGeneration), word) != word)
        {
            throw NotLeased(block);
        }

        // No try/finally around what cannot throw.
        var cache = _caches.TryEnter();
        if (cache is null)
        {
            _accounts.CountReturn();
            GiveBack(number);
            return;
        }

        cache.Returns++;
        if (!cache.TryPush(number))
        {
            MakeRoom(cache);
            cache.TryPush(number);
        }

        cache.Exit();
    }

    /// <summary>Takes a block from the calling thread's cache, or from the stack in passing; false for everything that is not ordinary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryTakeCached(long lengthBytes, int alignmentBytes, [NotNullWhen(true)] out PinnedLease? lease)
    {
        // Both bounds at once: below 1 wraps to beyond. What is refused here is looked at again, and named, in the slow path.
        if ((ulong)(lengthBytes - 1) >= (ulong)_blockBytes
            || (uint)(alignmentBytes - 1) >= (uint)_alignmentBytes
            || (alignmentBytes & (alignmentBytes - 1)) != 0)
        {
            lease = null;
            return false;
        }

        var cache = _caches.TryEnter();
        if (cache is null)
        {
            lease = null;
            return false;
        }

        if (!cache.TryPop(out var number) && !TryRefill(cache, out number))
        {
            cache.Exit();
            lease = null;
            return false;
        }

        cache.Rents++;
        cache.Exit();
        lease = Lease(number, lengthBytes);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryRefill(FixedBlockCache cache, out int number)
    {
        var count = _free.PopUpTo(_batch, out var first);
        if (count > 0)
        {
            _accounts.CountTaken(count);
            cache.Fill(_free, first);
        }

        return cache.TryPop(out number);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void MakeRoom(FixedBlockCache cache) => _accounts.CountGivenBack(cache.Flush(_free, _batch));

    /// <summary>Makes the lease of a block that the caller has just taken: nobody else touches its word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private PinnedLease Lease(int number, long lengthBytes)
    {
        ref var word = ref _words[number];
        var leased = word | Leased;
        word = leased;
        return new PinnedLease(
            this,
            new LeasedBlock(_address + (nint)(number * _strideBytes), lengthBytes, ((long)number << 32) | (uint)leased));
    }

    private void SetPending(in LeasedBlock block, int number, int word, IFence fence)
    {
        var pending = word - Leased + Pending;
        if (Interlocked.CompareExchange(ref _words[number], pending, word) != word)
        {
            throw NotLeased(block);
        }

        _accounts.CountPending(1);
        _accounts.CountReturn();
        _fenced.Add(new PendingBlock(number, pending), fence);
    }

    private void Retire(PendingBlock block)
    {
        Volatile.Write(ref _words[block.Number], unchecked(block.Word - Pending + NextGeneration));
        _accounts.CountPending(-1);
        GiveBack(block.Number);
    }

    private void Strand(PendingBlock block, Exception failure)
    {
        _accounts.CountStranded();
        AllocatorsLog.FenceFailed(_logger, failure, Name, _strideBytes);
    }

    /// <summary>Makes a block free for everybody.</summary>
    private void GiveBack(int number)
    {
        _free.Push(number);
        if (_accounts.CountGivenBack(1) == 0 && IsDisposed)
        {
            ReleaseIfIdle();
        }

        if (_queue.Count > 0)
        {
            _queue.Serve();
        }
    }

    /// <summary>Empties a cache, inside its gate; its counts become the pool's, because it may be gone for good.</summary>
    private void Drain(FixedBlockCache cache)
    {
        _moving.Enter();
        try
        {
            _accounts.Add(cache.Rents, cache.Returns);
            cache.Rents = 0;
            cache.Returns = 0;
            _accounts.CountGivenBack(cache.Flush(_free, int.MaxValue));
        }
        finally
        {
            _moving.Exit();
        }
    }

    private InvalidOperationException NotLeased(in LeasedBlock block) => new(
        $"A block of {block.LengthBytes} B at {block.Address:x} was given back to pool '{Name}', which has not leased it now: "
        + "it was returned before, or belongs to another pool. Nothing was changed.");

    /// <summary>A block that waits for its fence.</summary>
    private readonly record struct PendingBlock(int Number, int Word);
}
