using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.TestKit.Replay;

namespace LpLlm.Memory.Benchmarks.Replay;

/// <summary>Replays a trace several times, each time against a new pool, and prints each round: the first one warms the JIT up.</summary>
internal static class ReplayRun
{
    private const int Rounds = 5;
    private const long PageBytes = 4096;

    public static void Run(Trace trace, string poolName, bool simulated, long? capacityBytes, int? threads, bool isQuick)
    {
        // Twice the peak unless told otherwise: room for rounding and holes.
        var capacity = Math.Clamp(capacityBytes ?? (2 * trace.PeakBytes), PageBytes, ReplayPools.MaxCapacityBytes);
        capacity = (capacity + PageBytes - 1) / PageBytes * PageBytes;
        Console.WriteLine(
            $"Trace: {trace.Rents} rents, {trace.Returns} returns, {trace.Failures} failures, peak {ByteSize.Format(trace.PeakBytes)}"
            + (trace.IsComplete ? "." : "; it ends where the traced process died."));
        Console.WriteLine($"Pool: {poolName}, {ByteSize.Format(capacity)}{(simulated ? " simulated" : "")}.");
        var times = new MarkdownTable("replay", "mean, ns", "p50", "p99", "p99.9", "max", "garbage B per op", "wall, ms");
        var room = new MarkdownTable(
            "replay", "peak used", "genuine failures", "avoided", "new", "lowest utilisation at failures", "mean");
        for (var round = 1; round <= (isQuick ? 1 : Rounds); round++)
        {
            using var pool = ReplayPools.Open(poolName, capacity, Math.Max(1, trace.LongestBytes), simulated);
            AddRows(times, room, $"round {round}", TraceReplayer.Run(trace, pool, threads));
        }

        times.Print();
        room.Print();
        Console.WriteLine(
            "Times are those of single rents and returns, with some 25 ns for reading the clock. New failures did not happen in the trace: no more was "
            + "out than then, so the capacity or the placement of blocks is to blame. On several threads returns come as early as they can, so the peak "
            + "is that of the trace or less; with --threads 1 it is that of the trace.");
    }

    private static void AddRows(MarkdownTable times, MarkdownTable room, string name, ReplayResult result)
    {
        times.Add(
            name,
            $"{(result.Nanoseconds.Count == 0 ? 0 : result.Nanoseconds.Average()):0.0}",
            $"{result.Percentile(0.5):0}",
            $"{result.Percentile(0.99):0}",
            $"{result.Percentile(0.999):0}",
            $"{result.Percentile(1):0}",
            $"{result.GarbageBytesPerOperation:0.0}",
            $"{result.Elapsed.TotalMilliseconds:0.0}");
        var utilisation = result.UtilisationAtFailures;
        room.Add(
            name,
            ByteSize.Format(result.PeakBytes),
            $"{result.GenuineFailures}",
            $"{result.AvoidedFailures}",
            $"{result.NewFailures}",
            utilisation is { } low ? $"{low.Lowest:0.000}" : "-",
            utilisation is { } mean ? $"{mean.Mean:0.000}" : "-");
    }
}
