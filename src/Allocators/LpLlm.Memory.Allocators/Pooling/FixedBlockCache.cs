using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>The blocks that one thread keeps back, and what it counted. Everything is touched inside the gate only, except by snapshots.</summary>
internal sealed class FixedBlockCache(int capacity) : ThreadCache
{
    private readonly int[] _blocks = new int[capacity];
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Rents served by this cache since it was last drained.</summary>
    public long Rents { get; set; }

    /// <summary>Returns taken by this cache since it was last drained.</summary>
    public long Returns { get; set; }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPush(int block)
    {
        var count = _count;
        var blocks = _blocks;
        if ((uint)count >= (uint)blocks.Length)
        {
            return false;
        }

        blocks[count] = block;
        _count = count + 1;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPop(out int block)
    {
        var top = _count - 1;
        var blocks = _blocks;
        if ((uint)top >= (uint)blocks.Length)
        {
            block = BlockStack.None;
            return false;
        }

        block = blocks[top];
        _count = top;
        return true;
    }

    /// <summary>Moves a chain that came from the stack into the cache, which must have room.</summary>
    public void Fill(BlockStack stack, int first)
    {
        for (var block = first; block != BlockStack.None; block = stack.Next(block))
        {
            TryPush(block);
        }
    }

    /// <summary>Moves blocks to the stack in one step: those kept longest, whose memory has left the processor's caches.</summary>
    /// <returns>How many.</returns>
    public int Flush(BlockStack stack, int most)
    {
        var count = Math.Min(most, _count);
        if (count == 0)
        {
            return 0;
        }

        for (var i = 1; i < count; i++)
        {
            stack.Link(_blocks[i], _blocks[i - 1]);
        }

        stack.Push(_blocks[count - 1], _blocks[0]);
        _blocks.AsSpan(count, _count - count).CopyTo(_blocks);
        _count -= count;
        return count;
    }
}
