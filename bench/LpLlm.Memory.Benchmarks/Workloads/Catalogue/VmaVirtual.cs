using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>VMA, src/Tests.cpp: the virtual block's benchmark.</summary>
internal static class VmaVirtual
{
    private const int Allocations = 7200;
    private const int MaxLengthBytes = 2056;

    public static Workload Workload { get; } = new(
        "vma-virtual",
        "VMA virtual block: 7200 allocations of 1 B to 2056 B, then 14,400 random allocations and frees, then all are freed; "
        + "alignments of 1 B, 16 B, 64 B and 256 B taken together.",
        "A step is an allocation or a free. VMA itself: 84, 126 and 91 ns on another machine (Ryzen 7950X). ArrayPool.Shared is left out: arrays "
        + "cannot be aligned.",
        length => [new WorkloadCase("", [.. new[] { 1, 16, 64, 256 }.Select(alignment => CreateScript(alignment, length))])
        {
            Peers = Peers.Native,
        }]);

    private static Script CreateScript(int alignmentBytes, RunLength length)
    {
        var count = length.Scaled(Allocations);
        var live = count;
        var writer = new ScriptWriter();
        var fill = writer.Allocate(count, NextLength);
        var mixed = writer.Mix(2 * count, random =>
        {
            if (live == 0 || (live < 2 * count && random.Next(2) == 0))
            {
                live++;
                return (StepKind.Allocate, NextLength(random));
            }

            live--;
            return (StepKind.Free, 0);
        });
        // Room for twice as many of the longest, each rounded up to the widest alignment. Once before: the allocators' tables have their size then.
        return new Script(2L * count * 4096, [
            new Phase(null, [.. fill, .. mixed, .. writer.Free(live)]),
            new Phase("allocate", fill),
            new Phase("mixed", mixed),
            new Phase("free", writer.Free(live))])
        {
            AlignmentBytes = alignmentBytes,
        };
    }

    private static long NextLength(Random random) => random.Next(1, MaxLengthBytes + 1);
}
