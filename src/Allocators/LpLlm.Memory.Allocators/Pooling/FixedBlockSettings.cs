namespace LpLlm.Memory.Pooling;

/// <summary>What a <see cref="FixedBlockPool"/> needs to know; validated by the options it comes from.</summary>
internal sealed record FixedBlockSettings
{
    public required string Name { get; init; }

    public required long BlockBytes { get; init; }

    public required int Blocks { get; init; }

    public int AlignmentBytes { get; init; } = 256;

    public int ThreadCacheBlocks { get; init; }

    public TimeSpan FenceTimeout { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan RentTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan DisposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>From one block to the next.</summary>
    public long StrideBytes => ((BlockBytes - 1) | (AlignmentBytes - 1L)) + 1;

    public static FixedBlockSettings From(string name, FixedBlockPinnedPoolOptions options) => new()
    {
        Name = name,
        BlockBytes = options.GetBlockBytes(),
        Blocks = options.Blocks,
        AlignmentBytes = options.GetBlockAlignmentBytes(),
        ThreadCacheBlocks = options.ThreadCacheBlocks,
        FenceTimeout = options.FenceTimeout,
        RentTimeout = options.RentTimeout,
        DisposeTimeout = options.DisposeTimeout,
    };
}
