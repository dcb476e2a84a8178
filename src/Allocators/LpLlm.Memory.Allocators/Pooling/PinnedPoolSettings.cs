namespace LpLlm.Memory.Pooling;

/// <summary>What a <see cref="PinnedPool"/> needs to know; validated by the options it comes from.</summary>
internal sealed record PinnedPoolSettings
{
    public required string Name { get; init; }

    public required long CapacityBytes { get; init; }

    public required long SlabBytes { get; init; }

    public long InitialBytes { get; init; }

    public long ThreadCacheBytes { get; init; }

    public TimeSpan FenceTimeout { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan RentTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan DisposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public static PinnedPoolSettings From(string name, LocalPinnedPoolOptions options) => new()
    {
        Name = name,
        CapacityBytes = options.CapacityBytes,
        SlabBytes = Math.Min(options.SlabBytes, options.CapacityBytes),
        InitialBytes = options.InitialBytes ?? Math.Min(options.SlabBytes, options.CapacityBytes),
        ThreadCacheBytes = options.ThreadCacheBytes,
        FenceTimeout = options.FenceTimeout,
        RentTimeout = options.RentTimeout,
        DisposeTimeout = options.DisposeTimeout,
    };
}
