namespace LpLlm.Memory;

/// <summary>What an asynchronous rent asks for.</summary>
/// <param name="LengthBytes">Bytes wanted, at least 1. The lease has exactly this length.</param>
public readonly record struct RentRequest(long LengthBytes)
{
    /// <summary>Alignment of the address: a power of two from 1 B to 2 MiB. Default 256 B.</summary>
    public int AlignmentBytes { get; init; } = 256;

    /// <summary>Whose turn it is when several wait. Default <see cref="RentPriority.Normal"/>.</summary>
    public RentPriority Priority { get; init; }

    /// <summary>The longest wait for room, from 0 (do not wait) to 24 days. Default null: as long as the pool's options say.</summary>
    public TimeSpan? Timeout { get; init; }
}
