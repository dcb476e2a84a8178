namespace LpLlm.Memory;

/// <summary>What one member of a hybrid pool has done for it so far. Rents of the member by others are not in it.</summary>
public sealed record HopStatistics
{
    /// <summary>Name of the member.</summary>
    public required string PoolName { get; init; }

    /// <summary>Leases it served.</summary>
    public long ServedRents { get; init; }

    /// <summary>Bytes of those leases, as rented.</summary>
    public long ServedBytes { get; init; }

    /// <summary>Leases it served that are out now.</summary>
    public long LiveLeases { get; init; }

    /// <summary>Bytes of the leases that are out now, as rented.</summary>
    public long LiveBytes { get; init; }

    /// <summary>Rents that it was asked for and had no room for.</summary>
    public long ExhaustedRents { get; init; }

    /// <summary>Rents that it failed, or that passed it by while it was unavailable.</summary>
    public long UnavailableRents { get; init; }

    /// <summary>Whether it is asked now.</summary>
    public bool IsAvailable { get; init; }

    /// <summary>What it failed with last, whether or not it has recovered since; null if it never failed.</summary>
    public string? LastFailure { get; init; }
}
