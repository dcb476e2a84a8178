namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>One round on one heap.</summary>
internal readonly record struct HoleSample(double PairNanoseconds, double ReplacementNanoseconds);
