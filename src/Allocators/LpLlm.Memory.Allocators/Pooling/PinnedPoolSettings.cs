namespace LpLlm.Memory.Pooling;

/// <summary>What a <see cref="PinnedPool"/> needs to know; validated by the options it comes from.</summary>
internal sealed record PinnedPoolSettings
{
    public required string Name { get; init; }

    public required long CapacityBytes { get; init; }

    public required long SlabBytes { get; init; }

    public long InitialBytes { get; init; }

    /// <summary>
    /// Whether opening takes two slabs at a time: the second is populated while the first is pinned. Not for a server's, which makes one at a time.
    /// </summary>
    public bool OpensAhead { get; init; }

    public long ThreadCacheBytes { get; init; }

    public TimeSpan FenceTimeout { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan RentTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan DisposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public static PinnedPoolSettings From(string name, LocalPinnedPoolOptions options) =>
        From(name, options, options.CapacityBytes, options.InitialBytes, options.SlabBytes, options.ThreadCacheBytes) with { OpensAhead = true };

    /// <summary>For any options that speak of slabs.</summary>
    public static PinnedPoolSettings From(
        string name, PinnedPoolOptions options, long capacityBytes, long? initialBytes, long slabBytes, long threadCacheBytes) => new()
        {
            Name = name,
            CapacityBytes = capacityBytes,
            SlabBytes = Math.Min(slabBytes, capacityBytes),
            InitialBytes = initialBytes ?? Math.Min(slabBytes, capacityBytes),
            ThreadCacheBytes = threadCacheBytes,
            FenceTimeout = options.FenceTimeout,
            RentTimeout = options.RentTimeout,
            DisposeTimeout = options.DisposeTimeout,
        };
}
