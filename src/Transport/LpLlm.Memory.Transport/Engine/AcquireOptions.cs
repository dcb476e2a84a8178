namespace LpLlm.Memory.Transport.Engine;

/// <summary>What a session asks for. Checked by the engine: bad values are <see cref="PoolFaultCode.InvalidArgument"/>.</summary>
internal sealed record AcquireOptions
{
    /// <summary>Rounded up to 2 MiB.</summary>
    public required long LengthBytes { get; init; }

    /// <summary>The same id gets the same answer, as long as the lease lives.</summary>
    public required Token RequestId { get; init; }

    /// <summary>High only counts for sessions with <see cref="SessionOptions.IsPrivileged"/>; for others it is normal.</summary>
    public RentPriority Priority { get; init; }

    /// <summary>
    /// How long to wait for room; zero refuses at once, unless other clients were just asked to trim: they have
    /// <see cref="PoolEngineSettings.TrimPatience"/> to answer. Once there is room, the making of segments is not limited by it.
    /// </summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>One segment, whatever the length.</summary>
    public bool SingleSegment { get; init; }

    /// <summary>For people.</summary>
    public string Name { get; init; } = "";
}
