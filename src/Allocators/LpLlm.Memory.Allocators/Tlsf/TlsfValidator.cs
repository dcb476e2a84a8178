namespace LpLlm.Memory.Tlsf;

/// <summary>Checks every invariant of a <see cref="TlsfAllocator"/>; O(blocks).</summary>
internal static class TlsfValidator
{
    private const int Nil = BlockTable.Nil;

    public static void Check(BlockTable blocks, FreeBlockIndex free, long capacity, long used, int live)
    {
        var freeBlocks = CheckPhysicalOrder(blocks, capacity, used, live, out var total);
        Require(total + blocks.UnusedCount == blocks.Count, $"{blocks.Count} slots, but {total} blocks and {blocks.UnusedCount} unused");

        var indexed = 0;
        for (var bin = 0; bin < SizeBins.LevelCount * SizeBins.SubCount; bin++)
        {
            Require(free.IsMarked(bin) == (free.RootOf(bin) != Nil), $"bitmap and root of bin {bin} disagree");
            indexed += CheckTrie(blocks, free.RootOf(bin), Nil, bin, SizeBins.FreeBits(bin) - 1, 0, 0);
        }

        Require(indexed == freeBlocks, $"{freeBlocks} free blocks, but {indexed} in the index");
    }

    private static int CheckPhysicalOrder(BlockTable blocks, long capacity, long used, int live, out int total)
    {
        long end = 0, usedSeen = 0;
        int below = Nil, liveSeen = 0;
        total = 0;
        var belowIsFree = false;
        for (var at = 0; at != Nil; below = at, at = blocks[at].Above)
        {
            var node = blocks[at];
            Require(node.Offset == end, $"block {at} starts at unit {node.Offset}, not at {end}");
            Require(node.Size > 0, $"block {at} is empty");
            Require(node.Below == below, $"block {at} points down to {node.Below}, not to {below}");
            Require(node.IsLive || !belowIsFree, $"blocks {below} and {at} are both free and not merged");
            belowIsFree = !node.IsLive;
            end += node.Size;
            total++;
            if (node.IsLive)
            {
                liveSeen++;
                usedSeen += node.Size;
            }
        }

        Require(end == capacity, $"blocks end at unit {end}, the range at {capacity}");
        Require(usedSeen == used && liveSeen == live, $"{liveSeen} live blocks of {usedSeen} units, accounts say {live} of {used}");
        return total - liveSeen;
    }

    /// <summary>Checks a subtree whose sizes must agree with <paramref name="prefix"/> in the bits of <paramref name="mask"/>.</summary>
    private static int CheckTrie(BlockTable blocks, int at, int parent, int bin, int bit, long prefix, long mask)
    {
        if (at == Nil)
        {
            return 0;
        }

        var node = blocks[at];
        Require(node.Parent == parent, $"trie block {at} has parent {node.Parent}, not {parent}");
        Require(!node.IsLive && SizeBins.Of(node.Size) == bin, $"block {at} of {node.Size} units does not belong into bin {bin}");
        Require((node.Size & mask) == prefix, $"block {at} of {node.Size} units is in the wrong subtree");

        var count = 1;
        for (int before = at, next = node.Next; next != Nil; before = next, next = blocks[next].Next, count++)
        {
            var chained = blocks[next];
            Require(chained.Parent == BlockTable.Chained && chained.Previous == before, $"chained block {next} has broken links");
            Require(!chained.IsLive && chained.Size == node.Size, $"chained block {next} differs from block {at}");
        }

        Require(bit >= 0 || (node.Child0 == Nil && node.Child1 == Nil), $"block {at} has children below the last bit");
        return bit < 0
            ? count
            : count
                + CheckTrie(blocks, node.Child0, at, bin, bit - 1, prefix, mask | (1L << bit))
                + CheckTrie(blocks, node.Child1, at, bin, bit - 1, prefix | (1L << bit), mask | (1L << bit));
    }

    private static void Require(bool condition, string violated)
    {
        if (!condition)
        {
            throw new InvalidOperationException($"TLSF invariant broken: {violated}.");
        }
    }
}
