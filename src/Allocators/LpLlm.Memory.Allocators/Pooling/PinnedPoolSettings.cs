namespace LpLlm.Memory.Pooling;

/// <summary>What a <see cref="PinnedPool"/> needs to know; validated by the options it comes from.</summary>
internal sealed record PinnedPoolSettings
{
    public required string Name { get; init; }

    public required long CapacityBytes { get; init; }

    public required long SlabBytes { get; init; }

    public long InitialBytes { get; init; }

    public TimeSpan RentTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan DisposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public static PinnedPoolSettings From(string name, LocalPinnedPoolOptions options) => new()
    {
        Name = name,
        CapacityBytes = options.CapacityBytes,
        SlabBytes = Math.Min(options.SlabBytes, options.CapacityBytes),
        InitialBytes = options.InitialBytes ?? Math.Min(options.SlabBytes, options.CapacityBytes),
        RentTimeout = options.RentTimeout,
        DisposeTimeout = options.DisposeTimeout,
    };
}
