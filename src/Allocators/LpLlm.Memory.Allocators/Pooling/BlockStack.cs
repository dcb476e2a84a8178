using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// A lock-free last-in-first-out stack of block numbers. The head is one 64-bit word of a tag and a number; the tag counts the changes, so
/// that a head which went away and came back (ABA) is not mistaken for the one that was read. What lies under a block stands in a
/// table beside the blocks, whose memory is never touched.
/// </summary>
/// <remarks>Starts empty. Thread-safe, except that a chain belongs to whoever popped it. A tag comes round after 2^32 changes.</remarks>
internal sealed class BlockStack(int blocks)
{
    public const int None = -1;

    private readonly int[] _next = new int[blocks];
    private PaddedHead _head;

    /// <summary>The block under a block of a chain that the caller owns, or <see cref="None"/>.</summary>
    public int Next(int block) => _next[block];

    /// <summary>Puts a block on top of a chain that the caller owns.</summary>
    public void Link(int block, int next) => _next[block] = next;

    public bool IsEmpty => Number(Volatile.Read(ref _head.Word)) == None;

    public void Push(int block) => Push(block, block);

    /// <summary>Pushes a chain at once.</summary>
    public void Push(int first, int last)
    {
        var seen = Volatile.Read(ref _head.Word);
        while (true)
        {
            _next[last] = Number(seen);
            var found = Interlocked.CompareExchange(ref _head.Word, Successor(seen, first), seen);
            if (found == seen)
            {
                return;
            }

            seen = found;
        }
    }

    /// <summary>Pops the top block; false when at one instant there was none.</summary>
    public bool TryPop(out int block)
    {
        var seen = Volatile.Read(ref _head.Word);
        while ((block = Number(seen)) != None)
        {
            var found = Interlocked.CompareExchange(ref _head.Word, Successor(seen, Volatile.Read(ref _next[block])), seen);
            if (found == seen)
            {
                return true;
            }

            seen = found;
        }

        return false;
    }

    /// <summary>Pops as many as there are, up to <paramref name="most"/>, as a chain that ends with <see cref="None"/>; 0 when at one instant there was none.</summary>
    public int PopUpTo(int most, out int first)
    {
        int count;
        while (!TryPopChain(most, least: 1, out first, out count))
        {
        }

        return count;
    }

    /// <summary>Pops exactly so many as a chain that ends with <see cref="None"/>.</summary>
    /// <param name="count">At least 1.</param>
    /// <param name="attempts">How often to try when others change the stack meanwhile.</param>
    /// <param name="first">The chain, or <see cref="None"/> when at one instant there were fewer.</param>
    /// <returns>False when every attempt was overtaken: nothing is known, nothing was taken.</returns>
    public bool TryPopExactly(int count, int attempts, out int first)
    {
        for (; attempts > 0; attempts--)
        {
            if (TryPopChain(count, least: count, out first, out _))
            {
                return true;
            }
        }

        first = None;
        return false;
    }

    /// <summary>Pops everything, in one step however much it is.</summary>
    public int PopAll()
    {
        var seen = Volatile.Read(ref _head.Word);
        while (true)
        {
            var found = Interlocked.CompareExchange(ref _head.Word, Successor(seen, None), seen);
            if (found == seen)
            {
                return Number(seen);
            }

            seen = found;
        }
    }

    /// <summary>One attempt; false when the stack changed under the walk.</summary>
    private bool TryPopChain(int most, int least, out int first, out int count)
    {
        var seen = Volatile.Read(ref _head.Word);
        first = Number(seen);
        count = 0;
        var last = None;
        var next = first;

        // What others change under the walk is found out at its end; until then it stays within the table and the count.
        while (count < most && next != None)
        {
            last = next;
            next = Volatile.Read(ref _next[next]);
            count++;
        }

        if (count < least || count == 0)
        {
            first = None;
            count = 0;
            return Interlocked.CompareExchange(ref _head.Word, seen, seen) == seen;
        }

        if (Interlocked.CompareExchange(ref _head.Word, Successor(seen, next), seen) != seen)
        {
            return false;
        }

        _next[last] = None;
        return true;
    }

    // Numbers are kept plus one, so that the word of an empty stack, tag 0, is 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Number(long word) => (int)word - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Successor(long word, int block) => unchecked(((word >> 32) + 1) << 32) | (uint)(block + 1);

    /// <summary>Alone on its cache line: what stands around it is read on each rent.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct PaddedHead
    {
        [FieldOffset(64)]
        public long Word;
    }
}
