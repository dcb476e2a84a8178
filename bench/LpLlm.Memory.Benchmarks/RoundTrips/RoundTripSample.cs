namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>Percentiles of one round, in microseconds.</summary>
internal readonly record struct RoundTripSample(double Median, double P99);
