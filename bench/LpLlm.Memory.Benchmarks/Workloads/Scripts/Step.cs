namespace LpLlm.Memory.Benchmarks.Workloads.Scripts;

/// <summary>One operation, decided before anything is measured.</summary>
/// <param name="LengthBytes">What to allocate.</param>
/// <param name="Pick">Which live block to free, as a share of 2^32 of those that live then.</param>
/// <param name="Kind">What to do.</param>
internal readonly record struct Step(long LengthBytes, uint Pick, StepKind Kind);
