using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// One thread's free blocks of a pool (magazines): stacks of the up to 8 lengths the thread rents most, 32 blocks each. A length gets a
/// stack when it comes back twice within 8 returns, and loses it when it is not rented any more: a block kept for nobody would only
/// stand in the way of its neighbours' merging.
/// </summary>
/// <remarks>Blocks are read and written in place: a copy of 32 bytes with a reference in it costs as much as all the rest of a hit.</remarks>
internal sealed class BlockCache(long capacityBytes) : ThreadCache
{
    private const int Lengths = 8;
    private const int Depth = 32;
    private const int HighestScore = 64;

    private readonly Stack[] _stacks = new Stack[Lengths];
    private readonly CachedBlock[] _blocks = new CachedBlock[Lengths * Depth];
    private readonly long[] _strangers = new long[Lengths];
    private int _last;
    private int _nextStranger;

    public long Bytes { get; private set; }

    /// <summary>Rents served since the pool last collected the figure.</summary>
    public long Hits { get; private set; }

    public long CountBlocks()
    {
        long blocks = 0;
        foreach (ref readonly var stack in _stacks.AsSpan())
        {
            blocks += stack.Count;
        }

        return blocks;
    }

    /// <summary>Takes a block of this length; a null reference when there is none. The caller reads it before it leaves the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref CachedBlock TryPop(long lengthBytes, nint alignmentMask)
    {
        var index = _last;
        if (_stacks[index].Length != lengthBytes && (index = Find(lengthBytes)) < 0)
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        ref var stack = ref _stacks[index];
        if (stack.Count == 0)
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        ref var top = ref _blocks[(index * Depth) + stack.Count - 1];
        if ((top.Address & alignmentMask) != 0)
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        stack.Count--;
        stack.Score = HighestScore;
        Bytes -= lengthBytes;
        Hits++;
        return ref top;
    }

    /// <summary>The place for a further block of a length that has a stack with room; else a null reference. The caller fills it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref CachedBlock TryPush(long lengthBytes)
    {
        var index = _last;
        if (_stacks[index].Length != lengthBytes && (index = Find(lengthBytes)) < 0)
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        ref var stack = ref _stacks[index];
        if (stack.Count == Depth || lengthBytes > capacityBytes - Bytes)
        {
            return ref Unsafe.NullRef<CachedBlock>();
        }

        Bytes += lengthBytes;
        return ref _blocks[(index * Depth) + stack.Count++];
    }

    /// <summary>
    /// What to take out so that the next push of this length succeeds: a length that deserves a stack is given one here. No blocks and false
    /// for "this one is not worth it".
    /// </summary>
    public bool TryMakeRoom(long lengthBytes, out (int Stack, int Blocks) flush)
    {
        flush = default;
        var own = Find(lengthBytes);
        if (own < 0 && !IsRepeated(lengthBytes))
        {
            return false;
        }

        if (own >= 0 && _stacks[own].Count == Depth)
        {
            flush = (own, Depth / 2); // the pool is bothered once in 16 returns
            return true;
        }

        var coldest = FindColdest(own);
        if (_stacks[coldest].Score > 0)
        {
            _stacks[coldest].Score--; // a hit keeps a stack for 64 returns of lengths that have none
            return false;
        }

        flush = (coldest, _stacks[coldest].Count);
        if (own < 0)
        {
            _stacks[coldest].Length = lengthBytes;
        }

        return true;
    }

    /// <summary>Takes a block out of a stack that is not empty.</summary>
    public CachedBlock Remove(int index)
    {
        ref var top = ref _blocks[(index * Depth) + --_stacks[index].Count];
        var block = top;
        top = default;
        Bytes -= block.LengthBytes;
        return block;
    }

    /// <summary>Takes any block out; false when there is none.</summary>
    public bool TryRemove(out CachedBlock block)
    {
        for (var index = 0; index < Lengths; index++)
        {
            if (_stacks[index].Count > 0)
            {
                block = Remove(index);
                return true;
            }
        }

        block = default;
        return false;
    }

    /// <summary>Hands the count of hits over to the pool.</summary>
    public long CollectHits()
    {
        var hits = Hits;
        Hits = 0;
        return hits;
    }

    private int Find(long lengthBytes)
    {
        for (var index = 0; index < Lengths; index++)
        {
            if (_stacks[index].Length == lengthBytes)
            {
                return _last = index;
            }
        }

        return -1;
    }

    private int FindColdest(int own)
    {
        var coldest = own == 0 ? 1 : 0;
        for (var index = 0; index < Lengths; index++)
        {
            coldest = index != own && _stacks[index].Score < _stacks[coldest].Score ? index : coldest;
        }

        return coldest;
    }

    /// <summary>Whether a length without a stack came back within the last 8 such returns; remembers it if not.</summary>
    private bool IsRepeated(long lengthBytes)
    {
        if (_strangers.AsSpan().Contains(lengthBytes))
        {
            return true;
        }

        _strangers[_nextStranger] = lengthBytes;
        _nextStranger = (_nextStranger + 1) % Lengths;
        return false;
    }

    private struct Stack
    {
        public long Length;
        public int Count;
        public int Score;
    }
}
