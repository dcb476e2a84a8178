using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// One thread's free blocks of a pool (magazines): stacks of the up to 8 lengths the thread rents most, 32 blocks each. A length gets a
/// stack when it comes back twice within 8 returns, and loses it when it is not rented any more: a block kept for nobody would only
/// stand in the way of its neighbours' merging.
/// </summary>
internal sealed class BlockCache(long capacityBytes) : ThreadCache
{
    private const int Lengths = 8;
    private const int Depth = 32;
    private const int HighestScore = 64;

    private readonly long[] _lengths = new long[Lengths];
    private readonly int[] _counts = new int[Lengths];
    private readonly int[] _scores = new int[Lengths];
    private readonly CachedBlock[] _blocks = new CachedBlock[Lengths * Depth];
    private readonly long[] _strangers = new long[Lengths];
    private int _last;
    private int _nextStranger;

    public long Bytes { get; private set; }

    public long Blocks { get; private set; }

    /// <summary>Rents served since the pool last collected the figure.</summary>
    public long Hits { get; private set; }

    public bool TryPop(long lengthBytes, nint alignmentMask, out CachedBlock block)
    {
        var stack = Find(lengthBytes);
        if (stack < 0 || _counts[stack] == 0)
        {
            block = default;
            return false;
        }

        ref var top = ref _blocks[(stack * Depth) + _counts[stack] - 1];
        block = top;
        if ((block.Address & alignmentMask) != 0)
        {
            return false;
        }

        top = default;
        _counts[stack]--;
        _scores[stack] = Math.Min(_scores[stack] + 1, HighestScore);
        Bytes -= lengthBytes;
        Blocks--;
        Hits++;
        return true;
    }

    /// <summary>Keeps a block, if its length has a stack or deserves one, and there is room.</summary>
    /// <param name="block">The block.</param>
    /// <param name="flush">When it is not kept: what the pool may take out so that a second try succeeds; no blocks for "do not bother".</param>
    public bool TryPush(in CachedBlock block, out (int Stack, int Blocks) flush)
    {
        flush = default;
        var stack = Find(block.LengthBytes);
        if (stack < 0 && IsRepeated(block.LengthBytes))
        {
            stack = FindIdle();
        }
        else if (stack < 0)
        {
            return false;
        }

        if (stack < 0 || _counts[stack] == Depth || block.LengthBytes > capacityBytes - Bytes)
        {
            flush = ChooseFlush(stack);
            return false;
        }

        _lengths[stack] = block.LengthBytes;
        _blocks[(stack * Depth) + _counts[stack]++] = block;
        Bytes += block.LengthBytes;
        Blocks++;
        return true;
    }

    /// <summary>Takes a block out of a stack that is not empty.</summary>
    public CachedBlock Remove(int stack)
    {
        ref var top = ref _blocks[(stack * Depth) + --_counts[stack]];
        var block = top;
        top = default;
        Bytes -= block.LengthBytes;
        Blocks--;
        return block;
    }

    /// <summary>Takes any block out; false when there is none.</summary>
    public bool TryRemove(out CachedBlock block)
    {
        for (var stack = 0; stack < Lengths; stack++)
        {
            if (_counts[stack] > 0)
            {
                block = Remove(stack);
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Find(long lengthBytes)
    {
        if (_lengths[_last] == lengthBytes)
        {
            return _last;
        }

        var found = _lengths.AsSpan().IndexOf(lengthBytes);
        _last = Math.Max(found, 0);
        return found;
    }

    /// <summary>
    /// Half of the own stack when that is full, so that the pool is bothered once in 16 returns; else all of the coldest other stack, once
    /// that has been passed over as often as it was hit.
    /// </summary>
    private (int Stack, int Blocks) ChooseFlush(int own)
    {
        if (own >= 0 && _counts[own] == Depth)
        {
            return (own, Depth / 2);
        }

        var coldest = own == 0 ? 1 : 0;
        for (var stack = 0; stack < Lengths; stack++)
        {
            coldest = stack != own && _scores[stack] < _scores[coldest] ? stack : coldest;
        }

        if (_scores[coldest] == 0)
        {
            return (coldest, _counts[coldest]);
        }

        _scores[coldest]--;
        return (coldest, 0);
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

    private int FindIdle()
    {
        for (var stack = 0; stack < Lengths; stack++)
        {
            if (_counts[stack] == 0 && _scores[stack] == 0)
            {
                return stack;
            }
        }

        return -1;
    }
}
