namespace LpLlm.Memory;

/// <summary>Blocks of one length in front of a hybrid pool's chain: rents of exactly that length are served by them first.</summary>
public sealed class HybridSizeClass
{
    /// <summary>Length of a block in bytes, at least 1. Required unless <see cref="Shape"/> says it; 0, the default: it does.</summary>
    public long BlockBytes { get; set; }

    /// <summary>
    /// The dimensions of the tensor that a block holds, each at least 1; the block has the bytes of their product. Default empty:
    /// <see cref="BlockBytes"/> says the length.
    /// </summary>
    public IList<int> Shape { get; } = [];

    /// <summary>Bytes of an element of <see cref="Shape"/>: 1, 2, 4 or 8. Default 2, as of float16 and bfloat16.</summary>
    public int ElementBytes { get; set; } = 2;

    /// <summary>How many blocks there are. Required: 1 to 2^28. All of their memory is taken when the pool opens.</summary>
    public int Blocks { get; set; }

    /// <summary>The fixed-block pool that the class is: one rule book for both.</summary>
    internal FixedBlockPinnedPoolOptions ToFixedBlock()
    {
        var options = new FixedBlockPinnedPoolOptions { BlockBytes = BlockBytes, ElementBytes = ElementBytes, Blocks = Blocks };
        foreach (var dimension in Shape)
        {
            options.Shape.Add(dimension);
        }

        return options;
    }
}
