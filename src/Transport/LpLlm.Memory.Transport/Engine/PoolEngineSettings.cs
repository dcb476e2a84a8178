namespace LpLlm.Memory.Transport.Engine;

/// <summary>What the engine needs to know; validated by the options it comes from.</summary>
internal sealed record PoolEngineSettings
{
    /// <summary>All segments together never exceed this, but for memory that surviving clients present after a restart.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Part of the capacity that only models can have.</summary>
    public long ModelFloorBytes { get; init; }

    /// <summary>Part of the capacity that models cannot have.</summary>
    public long PoolFloorBytes { get; init; }

    /// <summary>The most that all leases of pools can take together.</summary>
    public long MaxPoolBytes => CapacityBytes - ModelFloorBytes;

    /// <summary>The most that all models can take together.</summary>
    public long MaxModelBytes => CapacityBytes - PoolFloorBytes;

    /// <summary>The standard segment, a multiple of 2 MiB.</summary>
    public long SegmentBytes { get; init; } = 32L << 20;

    /// <summary>Standard segments kept ready, and made at start.</summary>
    public long WarmBytes { get; init; }

    /// <summary>Longest lease.</summary>
    public long MaxLeaseBytes { get; init; } = long.MaxValue;

    /// <summary>Bytes of all sessions of one process, or of one session where the process is not known.</summary>
    public long MaxClientBytes { get; init; } = long.MaxValue;

    /// <summary>Bytes of all sessions of one user.</summary>
    public long MaxUserBytes { get; init; } = long.MaxValue;

    /// <summary>All clients together; see <see cref="FairShare"/>.</summary>
    public int MaxSessions { get; init; } = 1024;

    public int MaxLeasesPerClient { get; init; } = 64;

    public int MaxSegmentsPerLease { get; init; } = 4096;

    /// <summary>Segments at a time, all clients together: each takes a descriptor of the server.</summary>
    public int MaxSegments { get; init; } = int.MaxValue;

    /// <summary>Requests that wait for room, all clients together; see <see cref="FairShare"/>.</summary>
    public int MaxWaiting { get; init; } = 1024;

    /// <summary>Longest wait for room that a request can ask for.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time between a client's end and the reuse of its memory: device copies that it started drain.</summary>
    public TimeSpan QuarantineTime { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a client lives without a sign of life, where its process cannot be watched; and at most a second without connection and lease.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long clients that were asked to trim have before a request that can wait no longer is refused. Zero: nobody is asked.</summary>
    public TimeSpan TrimPatience { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Events kept for inspection.</summary>
    public int EventCapacity { get; init; } = 1024;
}
