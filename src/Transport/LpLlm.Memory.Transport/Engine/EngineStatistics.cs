namespace LpLlm.Memory.Transport.Engine;

/// <summary>The engine's figures at one moment. Leased + idle + pending is what its segments take.</summary>
internal readonly record struct EngineStatistics
{
    public required long CapacityBytes { get; init; }

    public required long LeasedBytes { get; init; }

    /// <summary>Part of the leased bytes, and of those that are being made ready: models.</summary>
    public required long ModelBytes { get; init; }

    /// <summary>Made, clean, and nobody's.</summary>
    public required long IdleBytes { get; init; }

    /// <summary>In quarantine, being zeroed, made or discarded.</summary>
    public required long PendingBytes { get; init; }

    public required long PeakLeasedBytes { get; init; }

    public required int Sessions { get; init; }

    public required int Leases { get; init; }

    public required int Waiting { get; init; }

    public required long TotalLeases { get; init; }

    public required long RefusedRequests { get; init; }

    public required long TrimRequests { get; init; }

    /// <summary>Leases of clients that died or expired.</summary>
    public required long ReclaimedLeases { get; init; }

    public required TimeSpan Uptime { get; init; }
}
