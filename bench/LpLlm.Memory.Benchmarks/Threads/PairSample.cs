namespace LpLlm.Memory.Benchmarks.Threads;

/// <summary>One round of one contestant: the mean over its threads.</summary>
internal readonly record struct PairSample(double Nanoseconds, double GarbageBytes);
