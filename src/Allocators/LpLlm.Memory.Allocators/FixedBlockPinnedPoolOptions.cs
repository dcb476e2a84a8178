using System.Globalization;
using System.Numerics;

namespace LpLlm.Memory;

/// <summary>Options of a pool of blocks of one length, over this process's own memory. Fixed once the pool exists.</summary>
public sealed class FixedBlockPinnedPoolOptions : HostMemoryOptions
{
    private const int LeastAlignmentBytes = 256;
    private const int MostAlignmentBytes = 2 << 20;
    private const int MostBlocks = 1 << 28;
    private const int MostThreadCacheBlocks = 1024;
    private const int PageAlignedFromBytes = 64 << 10;

    /// <summary>Length of a block, at least 1. Required unless <see cref="Shape"/> says it; 0, the default: it does.</summary>
    public long BlockBytes { get; set; }

    /// <summary>
    /// The dimensions of the tensor that a block holds, each at least 1; the block has the bytes of their product. Default empty:
    /// <see cref="BlockBytes"/> says the length.
    /// </summary>
    public IList<int> Shape { get; } = [];

    /// <summary>Bytes of an element of <see cref="Shape"/>: 1, 2, 4 or 8. Default 2, as of float16 and bfloat16.</summary>
    public int ElementBytes { get; set; } = 2;

    /// <summary>How many blocks there are. Required: 1 to 2^28; each costs 8 B of bookkeeping beside its memory.</summary>
    public int Blocks { get; set; }

    /// <summary>
    /// Alignment of every block: a power of two from 256 B to 2 MiB. The distance of two blocks is their length rounded up to it. Default null:
    /// 4 KiB for blocks of at least 64 KiB, where the rounding costs less than 6.25 %, else 256 B.
    /// </summary>
    public int? BlockAlignmentBytes { get; set; }

    /// <summary>
    /// Free blocks each thread may keep back for its own next rents, at most a quarter of all. They serve anybody's rent that would
    /// otherwise fail. Default 32; 0 to 1024, 0 for none.
    /// </summary>
    public int ThreadCacheBlocks { get; set; } = 32;

    /// <summary>Length of a block, whichever option said it. The options must be right.</summary>
    internal long GetBlockBytes() => Shape.Count > 0 ? (long)ShapeBytes() : BlockBytes;

    internal int GetBlockAlignmentBytes() =>
        BlockAlignmentBytes ?? (GetBlockBytes() >= PageAlignedFromBytes ? (int)GranularityBytes : LeastAlignmentBytes);

    internal override void Validate(ICollection<string> errors)
    {
        CheckBlockLength(errors);
        CheckCount(errors, nameof(Blocks), Blocks, 1, MostBlocks);
        CheckCount(errors, nameof(ThreadCacheBlocks), ThreadCacheBlocks, 0, MostThreadCacheBlocks);
        if (BlockAlignmentBytes is { } alignment
            && (!BitOperations.IsPow2(alignment) || alignment < LeastAlignmentBytes || alignment > MostAlignmentBytes))
        {
            errors.Add($"{nameof(BlockAlignmentBytes)} is {alignment}; it must be a power of two from {LeastAlignmentBytes} to {MostAlignmentBytes}.");
        }

        base.Validate(errors);
    }

    private void CheckBlockLength(ICollection<string> errors)
    {
        if (BlockBytes != 0 && Shape.Count > 0)
        {
            errors.Add($"{nameof(BlockBytes)} is {BlockBytes} and {nameof(Shape)} is ({string.Join(", ", Shape)}); set one of the two.");
        }
        else if (Shape.Count == 0 && BlockBytes < 1)
        {
            errors.Add($"{nameof(BlockBytes)} is {BlockBytes}; it must be at least 1, or {nameof(Shape)} must be set instead.");
        }
        else if (Shape.Any(dimension => dimension < 1))
        {
            errors.Add($"{nameof(Shape)} is ({string.Join(", ", Shape)}); every dimension must be at least 1.");
        }
        else if (ElementBytes is not (1 or 2 or 4 or 8))
        {
            errors.Add($"{nameof(ElementBytes)} is {ElementBytes}; it must be 1, 2, 4 or 8.");
        }
        else if ((Shape.Count > 0 ? ShapeBytes() : BlockBytes) * Math.Max(1, Blocks) > long.MaxValue / 2)
        {
            errors.Add($"{nameof(Blocks)} is {Blocks}; so many blocks of that length are more than 4 EiB.");
        }
    }

    private BigInteger ShapeBytes() => Shape.Aggregate(new BigInteger(ElementBytes), (bytes, dimension) => bytes * dimension);

    private static void CheckCount(ICollection<string> errors, string name, int value, int least, int most)
    {
        if (value < least || value > most)
        {
            errors.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be from {least} to {most}."));
        }
    }
}
