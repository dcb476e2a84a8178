namespace LpLlm.Memory.Attention;

/// <summary>
/// Where keys and values lie in a page: <c>[layer][K|V][KV head][token][head dimension]</c>, so that what one work item
/// reads, the keys (or values) of one layer and head, is one contiguous block.
/// </summary>
internal sealed class KvLayout
{
    /// <summary>Bounds a tile's scratch memory: 64 queries and 64 keys of this many floats are 48 MiB.</summary>
    public const int MaxHeadDim = 65_536;

    /// <summary>Longest sequence; leaves room for an int to step past its end in blocks.</summary>
    public const int MaxTokens = 1 << 30;

    public KvLayout(KvCacheShape shape, int pageTokens)
    {
        ThrowIfBelowOne(shape.LayerCount, nameof(shape.LayerCount), nameof(shape));
        ThrowIfBelowOne(shape.KvHeadCount, nameof(shape.KvHeadCount), nameof(shape));
        ThrowIfBelowOne(shape.HeadDim, nameof(shape.HeadDim), nameof(shape));
        if (shape.HeadDim > MaxHeadDim)
        {
            throw new ArgumentException($"HeadDim = {shape.HeadDim} exceeds {MaxHeadDim}.", nameof(shape));
        }

        Shape = shape;
        PageTokens = pageTokens;
        TokenBytes = shape.HeadDim * ElementBytesOf(shape);

        // A block is at most 4096 tokens * 65,536 elements * 4 B = 2^30 B; only layers * heads can overflow.
        var pageBytes = (Int128)shape.LayerCount * 2 * shape.KvHeadCount * BlockBytes;
        PageBytes = pageBytes <= long.MaxValue
            ? (long)pageBytes
            : throw new ArgumentException(
                $"A page of {pageTokens} tokens in {shape.LayerCount} layers and {shape.KvHeadCount} KV heads exceeds 2^63 - 1 bytes.",
                nameof(shape));
    }

    public KvCacheShape Shape { get; }

    public int PageTokens { get; }

    public long PageBytes { get; }

    /// <summary>Bytes of one token's key, or value, in one layer and head.</summary>
    public int TokenBytes { get; }

    /// <summary>Bytes of the keys, or values, of one layer and head in a page: the distance of two heads.</summary>
    public long BlockBytes => (long)PageTokens * TokenBytes;

    public long KeyOffset(int layer, int head) => (2L * layer * Shape.KvHeadCount + head) * BlockBytes;

    public long ValueOffset(int layer, int head) => ((2L * layer + 1) * Shape.KvHeadCount + head) * BlockBytes;

    /// <summary>Pages that hold the tokens 0 to <paramref name="length"/> - 1.</summary>
    public int PagesFor(int length) => (int)(((long)length + PageTokens - 1) / PageTokens);

    private static int ElementBytesOf(KvCacheShape shape) => Enum.IsDefined(shape.ElementType)
        ? KvCodec.BytesOf(shape.ElementType)
        : throw new ArgumentException(
            $"ElementType = {shape.ElementType} is not one of {string.Join(", ", Enum.GetNames<KvElementType>())}.", nameof(shape));

    private static void ThrowIfBelowOne(int value, string name, string parameter)
    {
        if (value < 1)
        {
            throw new ArgumentException($"{name} = {value} is below 1.", parameter);
        }
    }
}
