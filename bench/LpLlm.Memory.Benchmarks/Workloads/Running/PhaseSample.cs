namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>What one run of one measured phase showed.</summary>
/// <param name="Nanoseconds">Mean of a step, of a pass in which no step was timed.</param>
/// <param name="GarbageBytes">Mean of a step.</param>
/// <param name="Ticks">Each step's time, of a second pass in which each was timed.</param>
/// <param name="Utilisation">Null where the workload does not look at it.</param>
/// <param name="Failures">Allocations that found no room.</param>
internal sealed record PhaseSample(double Nanoseconds, double GarbageBytes, long[] Ticks, Utilisation? Utilisation, long Failures);
