namespace LpLlm.Memory.Transport.Engine;

/// <summary>A lease, for people.</summary>
internal sealed record LeaseSummary
{
    public required ulong Id { get; init; }

    public required string Name { get; init; }

    public required SessionOptions Owner { get; init; }

    public required long LengthBytes { get; init; }

    public required int SegmentCount { get; init; }

    /// <summary>Sessions that hold it.</summary>
    public required int HolderCount { get; init; }

    public required LeaseState State { get; init; }

    public required TimeSpan Age { get; init; }
}
