using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Workloads.Catalogue;
using LpLlm.Memory.Benchmarks.Workloads.Running;

namespace LpLlm.Memory.Benchmarks.Workloads;

/// <summary>The field's allocator benchmarks, with our pools and the peers.</summary>
internal static class WorkloadsRun
{
    public static void Run(RunLength length) => Run(length, Workload.All.Select(workload => workload.Name));

    public static void Run(RunLength length, IEnumerable<string> names)
    {
        var chosen = names.ToHashSet();
        var contestants = new HeapContestants();
        var clock = Clock.Calibrate();
        foreach (var workload in Workload.All.Where(workload => chosen.Contains(workload.Name)))
        {
            Console.WriteLine();
            Console.WriteLine($"### {workload.Name}");
            Console.WriteLine(workload.Origin);
            var table = new MarkdownTable(
                "workload, contestant",
                "ns/step",
                "p50",
                "p99",
                "p99.9",
                "used, min",
                "used, avg",
                "genuine failures",
                "false",
                "garbage B",
                "ratio to PinnedPool");
            foreach (var workloadCase in workload.CreateCases(length))
            {
                foreach (var row in CaseRun.Run(workloadCase, contestants.For(workloadCase), clock, length))
                {
                    Add(table, row, clock);
                }
            }

            table.Print();
            Console.WriteLine(workload.Notes);
        }

        PrintLegend(clock);
    }

    private static void PrintLegend(Clock clock)
    {
        Console.WriteLine();
        Console.WriteLine(
            "All: memory is not touched; our pools have addresses that nothing backs. The mean is of a pass without a clock, the percentiles of a "
            + $"second pass with a reading after each step, less what that costs ({clock.CostNanoseconds:0} ns; it moves in steps of "
            + $"{clock.StepNanoseconds:0} ns): a time below {clock.FloorNanoseconds:0} ns, by which one reading in a hundred differs, is only said to "
            + "be below. \"(script alone)\" is what the script's own bookkeeping costs, and is in everybody's figures.");
        Console.WriteLine(
            "Failures are allocations that found no room; false ones those for which the oracle, which follows what was handed out, knew a gap. Goal: "
            + "none false. \"-\": the peers have no range that could be full (its size is counted for them), or the workload does not fill it. A ratio "
            + "below 1 is faster than PinnedPool.");
    }

    private static void Add(MarkdownTable table, CaseRow row, Clock clock) => table.Add(
        row.Name,
        $"{row.Figures.Nanoseconds:0.0}",
        Percentile(row.Figures.P50, clock),
        Percentile(row.Figures.P99, clock),
        Percentile(row.Figures.P999, clock),
        row.Failures is null || row.Figures.Utilisation is null ? "-" : $"{row.Figures.Utilisation.Value.Least:0.000}",
        row.Failures is null || row.Figures.Utilisation is null ? "-" : $"{row.Figures.Utilisation.Value.Average:0.000}",
        row.Failures is null ? "-" : $"{row.Failures.Value.Genuine}",
        row.Failures is null ? "-" : $"{row.Failures.Value.False}",
        $"{row.Figures.GarbageBytes:0.0}",
        $"{row.RatioToPool:0.00}");

    private static string Percentile(double nanoseconds, Clock clock) =>
        nanoseconds < clock.FloorNanoseconds ? $"<{clock.FloorNanoseconds:0}" : $"{nanoseconds:0}";
}
