namespace LpLlm.Memory;

/// <summary>How long calls took. Quantiles are within 1.6 % of the exact ones; count and maximum are exact. All 0 before the first call.</summary>
/// <param name="Count">Calls.</param>
/// <param name="P50Nanoseconds">Half of the calls took at most so long.</param>
/// <param name="P99Nanoseconds">99 % of the calls took at most so long.</param>
/// <param name="P999Nanoseconds">99.9 % of the calls took at most so long.</param>
/// <param name="MaxNanoseconds">The longest call.</param>
public readonly record struct LatencySummary(
    long Count, long P50Nanoseconds, long P99Nanoseconds, long P999Nanoseconds, long MaxNanoseconds);
