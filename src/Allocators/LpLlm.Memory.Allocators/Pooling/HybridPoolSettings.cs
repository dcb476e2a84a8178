namespace LpLlm.Memory.Pooling;

/// <summary>What a <see cref="HybridPool"/> needs to know beside its members; validated by the options it comes from.</summary>
internal sealed record HybridPoolSettings
{
    public required string Name { get; init; }

    public bool FallBackOnExhaustion { get; init; } = true;

    public bool FallBackOnUnavailability { get; init; } = true;

    public TimeSpan RetryInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    public TimeSpan RentTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan DisposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public static HybridPoolSettings From(string name, HybridPinnedPoolOptions options) => new()
    {
        Name = name,
        FallBackOnExhaustion = options.FallBackOnExhaustion,
        FallBackOnUnavailability = options.FallBackOnUnavailability,
        RetryInterval = options.RetryInterval,
        RentTimeout = options.RentTimeout,
        DisposeTimeout = options.DisposeTimeout,
    };
}
