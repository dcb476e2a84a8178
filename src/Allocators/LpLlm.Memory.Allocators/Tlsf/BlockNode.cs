namespace LpLlm.Memory.Tlsf;

/// <summary>
/// Metadata of one block, free or live: 48 bytes outside the memory it describes, so that neither a late device write nor
/// another process can damage it, and so that searching never touches cold pages.
/// </summary>
internal struct BlockNode
{
    /// <summary>Length in units; a long because a whole 1 TiB slab is 2^32 units.</summary>
    public long Size;

    /// <summary>First unit.</summary>
    public uint Offset;

    /// <summary>Physical neighbour below, or <see cref="BlockTable.Nil"/>.</summary>
    public int Below;

    /// <summary>Physical neighbour above, or <see cref="BlockTable.Nil"/>.</summary>
    public int Above;

    /// <summary>Free blocks of equal size: the one before in the chain. In an unused node: nothing.</summary>
    public int Previous;

    /// <summary>Free blocks of equal size: the one after. In an unused node: the next unused node.</summary>
    public int Next;

    /// <summary>Trie child whose deciding size bit is 0.</summary>
    public int Child0;

    /// <summary>Trie child whose deciding size bit is 1.</summary>
    public int Child1;

    /// <summary>Trie parent, <see cref="BlockTable.Nil"/> for a root, <see cref="BlockTable.Chained"/> behind another block of its size.</summary>
    public int Parent;

    /// <summary>Odd while live. Each allocation and each free adds one, so a handle fits one life of one slot.</summary>
    public int Generation;

    public readonly bool IsLive => (Generation & 1) != 0;
}
