namespace LpLlm.Memory;

/// <summary>Arithmetic on offsets: divides <c>[0, CapacityBytes)</c> into blocks. Touches no memory but its own.</summary>
/// <remarks>
/// Not thread-safe: the owner locks. Offsets and lengths are multiples of <see cref="UnitBytes"/>. Bad handles are errors
/// in every build. An allocation fails only when no free range can hold it.
/// </remarks>
public interface IBlockAllocator
{
    /// <summary>Number stamped into every handle this allocator gives out, unique in the process.</summary>
    int Id { get; }

    /// <summary>Bytes managed; a multiple of <see cref="UnitBytes"/>.</summary>
    long CapacityBytes { get; }

    /// <summary>Granularity in bytes, a power of two: lengths are rounded up to it, and every offset is a multiple of it.</summary>
    int UnitBytes { get; }

    /// <summary>Bytes in blocks now, rounding included.</summary>
    long UsedBytes { get; }

    /// <summary>Blocks out now.</summary>
    int LiveBlocks { get; }

    /// <summary>The largest length that <see cref="TryAllocate"/> would grant now at an alignment of <see cref="UnitBytes"/>. O(1).</summary>
    long LargestFreeBytes { get; }

    /// <summary>Takes a block.</summary>
    /// <param name="lengthBytes">Bytes wanted, at least 1.</param>
    /// <param name="alignmentBytes">Alignment of the offset: a power of two from 1 B to 2 MiB.</param>
    /// <param name="block">The block; its length is rounded up to units.</param>
    /// <returns><see langword="false"/> when no free range can hold the block.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length or the alignment is out of range.</exception>
    bool TryAllocate(long lengthBytes, int alignmentBytes, out BlockHandle block);

    /// <summary>Gives a block back and merges it with its free neighbours.</summary>
    /// <param name="block">A handle from <see cref="TryAllocate"/> of this allocator.</param>
    /// <exception cref="InvalidOperationException">The handle is foreign, stale (freed before) or made up. Nothing changes.</exception>
    void Free(in BlockHandle block);

    /// <summary>Lengths of the blocks out now, largest first; for error messages. O(blocks).</summary>
    /// <param name="most">How many at most.</param>
    IReadOnlyList<long> GetLargestLiveLengths(int most);

    /// <summary>Checks every internal invariant. O(blocks); for tests.</summary>
    /// <exception cref="InvalidOperationException">An invariant is broken; the message says which.</exception>
    void Validate();
}
