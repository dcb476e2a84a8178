using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Workloads.Auditing;
using LpLlm.Memory.Benchmarks.Workloads.Catalogue;
using LpLlm.Memory.Benchmarks.Workloads.Running;

namespace LpLlm.Memory.Benchmarks.Workloads;

/// <summary>Measures one case with all its contestants, in turn, and audits those with a range after that.</summary>
internal static class CaseRun
{
    /// <returns>The rows, phase by phase, contestant by contestant.</returns>
    public static IEnumerable<CaseRow> Run(
        WorkloadCase workloadCase, IReadOnlyList<HeapContestant> contestants, Clock clock, RunLength length)
    {
        var rounds = Interleaved.Measure(
            [.. contestants.Select<HeapContestant, Func<PhaseFigures[]>>(contestant => () => Measure(workloadCase, contestant, clock))],
            warmUpRounds: 1,
            length.WorkloadRounds);
        var audits = contestants.Select(contestant => Audit(workloadCase, contestant)).ToArray();
        var phases = workloadCase.Scripts[0].Phases.Where(phase => phase.IsMeasured).ToArray();
        for (var phase = 0; phase < phases.Length; phase++)
        {
            var pool = TimesOf(0);
            for (var i = 0; i < contestants.Count; i++)
            {
                yield return new CaseRow(
                    string.Join(", ", new[] { workloadCase.Name, phases[phase].Name, contestants[i].Name }.Where(part => part is not (null or ""))),
                    PhaseFigures.MedianOf([.. rounds[i].Select(round => round[phase])]),
                    Medians.MedianRatio(TimesOf(i), pool),
                    Failures(i));
            }

            IEnumerable<double> TimesOf(int contestant) => rounds[contestant].Select(round => round[phase].Nanoseconds);

            // Several threads: their order is nobody's, so it cannot be replayed. But they want less than half of the pool, or chunks of one
            // length that are always enough: there is no genuine failure.
            AuditCount? Failures(int contestant) => !contestants[contestant].HasRange
                ? null
                : audits[contestant]?[phase] ?? new AuditCount(0, (long)rounds[contestant].Max(round => round[phase].Failures));
        }
    }

    private static PhaseFigures[] Measure(WorkloadCase workloadCase, HeapContestant contestant, Clock clock)
    {
        // Leases and arrays of the run before are garbage now: collected here, not in somebody else's time.
        GC.Collect();
        var runs = workloadCase.Scripts.Select(script => contestant.Run(script, workloadCase.Threads)).ToList();
        return [.. Enumerable.Range(0, runs[0].Count)
            .Select(phase => PhaseFigures.Of(ScriptThreads.Together([.. runs.Select(run => run[phase])]), clock))];
    }

    private static AuditCount[]? Audit(WorkloadCase workloadCase, HeapContestant contestant)
    {
        if (!contestant.HasRange || workloadCase.Threads > 1)
        {
            return null;
        }

        var counts = workloadCase.Scripts.Select(contestant.Audit).ToList();
        return [.. Enumerable.Range(0, counts[0].Count).Select(phase => counts.Aggregate(default(AuditCount), (sum, count) => sum + count[phase]))];
    }
}
