namespace LpLlm.Memory.TestKit.Replay;

/// <summary>What came of a replay.</summary>
public sealed record ReplayResult
{
    /// <summary>Leases that the pool gave for rents of the trace.</summary>
    public required long Rents { get; init; }

    /// <summary>Leases that were returned where the trace returns them.</summary>
    public required long Returns { get; init; }

    /// <summary>Rents that failed in the trace and here.</summary>
    public required long GenuineFailures { get; init; }

    /// <summary>Rents that failed in the trace but not here; the block went back at once.</summary>
    public required long AvoidedFailures { get; init; }

    /// <summary>Rents that failed here but not in the trace. Their returns are left out.</summary>
    public required long NewFailures { get; init; }

    /// <summary>The most bytes that rents of the trace held at once, without the pool's rounding.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Rented bytes divided by the capacity when a rent failed, lowest and mean; null when none did.</summary>
    public required (double Lowest, double Mean)? UtilisationAtFailures { get; init; }

    /// <summary>Nanoseconds of each rent and return, ascending; reading the clock, some 25 ns, is in each.</summary>
    public required IReadOnlyList<double> Nanoseconds { get; init; }

    /// <summary>Managed bytes allocated in rents and returns, divided by their number.</summary>
    public required double GarbageBytesPerOperation { get; init; }

    /// <summary>From the first event to the last, waiting of threads for each other included.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The time that a share of the operations did not exceed.</summary>
    /// <param name="share">0 to 1.</param>
    public double Percentile(double share) =>
        Nanoseconds.Count == 0 ? 0 : Nanoseconds[Math.Max(0, (int)Math.Ceiling(share * Nanoseconds.Count) - 1)];
}
