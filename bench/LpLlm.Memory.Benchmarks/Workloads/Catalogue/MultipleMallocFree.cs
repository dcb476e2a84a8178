using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>UMF, benchmark/benchmark.hpp: multiple_malloc_free_benchmark.</summary>
internal static class MultipleMallocFree
{
    private const int Slots = 10_000;

    public static Workload Workload { get; } = new(
        "multiple-malloc-free",
        "UMF multiple_malloc_free: 10,000 live blocks a thread, a random one is freed and another allocated.",
        "A step is a free and an allocation. With two threads ns is what a step takes each of them; blocks are their own.",
        CreateCases);

    private static List<WorkloadCase> CreateCases(RunLength length)
    {
        var cases = new List<WorkloadCase>();
        foreach (var threads in (int[])[1, 2])
        {
            cases.Add(Case($"4096 B, {threads} thr.", _ => 4096) with
            {
                Threads = threads,
                BlockBytes = 4096,
                Peers = Peers.Native | Peers.ArrayPool | Peers.FixedBlocks,
            });
            cases.Add(Case($"8 B to 4 KiB, {threads} thr.", random => 8 * random.Next(1, 513)) with { Threads = threads });
            cases.Add(Case($"8 B to 128 B, {threads} thr.", random => 8 * random.Next(1, 17)) with { Threads = threads });
        }

        return cases;

        WorkloadCase Case(string name, Func<Random, long> nextLength)
        {
            var writer = new ScriptWriter();
            var slots = length.Scaled(Slots);
            return new WorkloadCase(name, new Script(
                // Twice what two threads hold at most.
                4L * Slots * 4096,
                [new Phase(null, writer.Allocate(slots, nextLength)), new Phase("", writer.Replace(length.Scaled(200_000), nextLength))]));
        }
    }
}
