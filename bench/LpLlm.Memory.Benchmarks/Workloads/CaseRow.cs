using LpLlm.Memory.Benchmarks.Workloads.Auditing;

namespace LpLlm.Memory.Benchmarks.Workloads;

/// <summary>A row of a workload's table.</summary>
/// <param name="Name">Case, phase and contestant.</param>
/// <param name="Figures">Medians over the rounds.</param>
/// <param name="RatioToPool">Median over the rounds of the mean's ratio to PinnedPool's.</param>
/// <param name="Failures">Null for contestants without a range.</param>
internal sealed record CaseRow(string Name, PhaseFigures Figures, double RatioToPool, AuditCount? Failures);
