using System.Numerics;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Tlsf;

/// <summary>
/// Finds free blocks by size in bounded time: TLSF's bins, and inside each bin a bitwise trie of distinct sizes with a chain of
/// equal ones (as in dlmalloc's tree bins).
/// </summary>
/// <remarks>
/// Plain TLSF keeps a list per bin. It must either skip the bin the size falls into (a false out-of-memory, and 10 % less
/// utilisation on near-equal sizes) or walk that list (O(n) exactly when memory is short). The trie gives the exact best fit, the
/// proof that nothing fits and the largest block in at most 27 steps each.
/// </remarks>
internal sealed class FreeBlockIndex
{
    private const int Nil = BlockTable.Nil;
    private const int Chained = BlockTable.Chained;

    private readonly BlockTable _blocks;
    private readonly int[] _roots = new int[SizeBins.LevelCount * SizeBins.SubCount];
    private readonly uint[] _subBitmaps = new uint[SizeBins.LevelCount];
    private uint _levelBitmap;

    public FreeBlockIndex(BlockTable blocks)
    {
        _blocks = blocks;
        Array.Fill(_roots, Nil);
    }

    /// <summary>The root of a bin's trie, for walks that tests and the exhaustive search make.</summary>
    public int RootOf(int bin) => _roots[bin];

    /// <summary>Whether the bitmaps say that the bin holds blocks.</summary>
    public bool IsMarked(int bin) =>
        (_levelBitmap >> (bin >> SizeBins.SubBits) & 1) != 0
        && (_subBitmaps[bin >> SizeBins.SubBits] >> (bin & (SizeBins.SubCount - 1)) & 1) != 0;

    public void Add(int block)
    {
        ref var node = ref _blocks[block];
        node.Previous = node.Next = node.Child0 = node.Child1 = Nil;
        var size = node.Size;
        var bin = SizeBins.Of(size);
        var at = _roots[bin];
        if (at == Nil)
        {
            node.Parent = Nil;
            _roots[bin] = block;
            _levelBitmap |= 1u << (bin >> SizeBins.SubBits);
            _subBitmaps[bin >> SizeBins.SubBits] |= 1u << (bin & (SizeBins.SubCount - 1));
            return;
        }

        for (var bit = SizeBins.FreeBits(bin) - 1; ; bit--)
        {
            ref var other = ref _blocks[at];
            if (other.Size == size)
            {
                AddToChain(ref node, block, ref other, at);
                return;
            }

            ref var child = ref ChildOf(ref other, size, bit);
            if (child == Nil)
            {
                child = block;
                node.Parent = at;
                return;
            }

            at = child;
        }
    }

    public void Remove(int block)
    {
        ref var node = ref _blocks[block];
        if (node.Parent == Chained)
        {
            _blocks[node.Previous].Next = node.Next;
            if (node.Next != Nil)
            {
                _blocks[node.Next].Previous = node.Previous;
            }

            return;
        }

        var heir = node.Next;
        if (heir != Nil)
        {
            _blocks[heir].Previous = Nil;
        }
        else if ((heir = LeafBelow(block)) != Nil)
        {
            Relink(_blocks[heir].Parent, heir, Nil);
        }

        Replace(block, ref node, heir);
    }

    /// <summary>The smallest free block of at least this size, or <see cref="BlockTable.Nil"/>. Prefers one that is cheap to remove.</summary>
    public int FindBestFit(long size)
    {
        var bin = SizeBins.Of(size);
        var best = FindInBin(bin, size);
        if (best == Nil)
        {
            bin = NextMarkedBin(bin + 1);
            if (bin == Nil)
            {
                return Nil;
            }

            best = Smallest(_roots[bin], Nil);
        }

        var chained = _blocks[best].Next;
        return chained != Nil ? chained : best;
    }

    /// <summary>Size of the largest free block, 0 when there is none.</summary>
    public long FindLargestSize()
    {
        if (_levelBitmap == 0)
        {
            return 0;
        }

        var level = BitOperations.Log2(_levelBitmap);
        var at = _roots[(level << SizeBins.SubBits) + BitOperations.Log2(_subBitmaps[level])];
        long largest = 0;
        while (at != Nil)
        {
            ref var node = ref _blocks[at];
            largest = Math.Max(largest, node.Size);
            at = node.Child1 != Nil ? node.Child1 : node.Child0;
        }

        return largest;
    }

    /// <summary>The first marked bin from this one on, or <see cref="BlockTable.Nil"/>.</summary>
    public int NextMarkedBin(int bin)
    {
        var level = bin >> SizeBins.SubBits;
        if (level >= SizeBins.LevelCount)
        {
            return Nil;
        }

        var subs = _subBitmaps[level] & (~0u << (bin & (SizeBins.SubCount - 1)));
        if (subs == 0)
        {
            var levels = level + 1 < 32 ? _levelBitmap & (~0u << (level + 1)) : 0;
            if (levels == 0)
            {
                return Nil;
            }

            level = BitOperations.TrailingZeroCount(levels);
            subs = _subBitmaps[level];
        }

        return (level << SizeBins.SubBits) + BitOperations.TrailingZeroCount(subs);
    }

    private int FindInBin(int bin, long size)
    {
        int best = Nil, larger = Nil, at = _roots[bin];
        for (var bit = SizeBins.FreeBits(bin) - 1; at != Nil; bit--)
        {
            ref var node = ref _blocks[at];
            if (node.Size == size)
            {
                return at;
            }

            if (node.Size > size && (best == Nil || node.Size < _blocks[best].Size))
            {
                best = at;
            }

            // Where the path turns to 0, every size below Child1 is larger than the one sought; the deepest such subtree is closest.
            var turn = bit >= 0 ? (size >> bit) & 1 : 1;
            if (turn == 0 && node.Child1 != Nil)
            {
                larger = node.Child1;
            }

            at = turn == 0 ? node.Child0 : node.Child1;
        }

        return Smallest(larger, best);
    }

    private int Smallest(int at, int best)
    {
        while (at != Nil)
        {
            ref var node = ref _blocks[at];
            if (best == Nil || node.Size < _blocks[best].Size)
            {
                best = at;
            }

            at = node.Child0 != Nil ? node.Child0 : node.Child1;
        }

        return best;
    }

    private void AddToChain(ref BlockNode node, int block, ref BlockNode head, int headIndex)
    {
        node.Parent = Chained;
        node.Previous = headIndex;
        node.Next = head.Next;
        if (head.Next != Nil)
        {
            _blocks[head.Next].Previous = block;
        }

        head.Next = block;
    }

    private int LeafBelow(int block)
    {
        var leaf = Nil;
        for (var at = AnyChild(block); at != Nil; at = AnyChild(at))
        {
            leaf = at;
        }

        return leaf;
    }

    private int AnyChild(int block)
    {
        ref var node = ref _blocks[block];
        return node.Child1 != Nil ? node.Child1 : node.Child0;
    }

    private void Replace(int block, ref BlockNode node, int heir)
    {
        if (heir != Nil)
        {
            ref var next = ref _blocks[heir];
            next.Child0 = node.Child0;
            next.Child1 = node.Child1;
            next.Parent = node.Parent;
            if (next.Child0 != Nil)
            {
                _blocks[next.Child0].Parent = heir;
            }

            if (next.Child1 != Nil)
            {
                _blocks[next.Child1].Parent = heir;
            }
        }

        if (node.Parent != Nil)
        {
            Relink(node.Parent, block, heir);
            return;
        }

        var bin = SizeBins.Of(node.Size);
        _roots[bin] = heir;
        if (heir == Nil && (_subBitmaps[bin >> SizeBins.SubBits] &= ~(1u << (bin & (SizeBins.SubCount - 1)))) == 0)
        {
            _levelBitmap &= ~(1u << (bin >> SizeBins.SubBits));
        }
    }

    private void Relink(int parent, int from, int to)
    {
        ref var node = ref _blocks[parent];
        if (node.Child0 == from)
        {
            node.Child0 = to;
        }
        else
        {
            node.Child1 = to;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref int ChildOf(ref BlockNode node, long size, int bit)
    {
        if (((size >> bit) & 1) == 0)
        {
            return ref node.Child0;
        }

        return ref node.Child1;
    }
}
