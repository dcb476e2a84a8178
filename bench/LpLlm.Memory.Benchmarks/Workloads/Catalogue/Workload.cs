namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>One of the field's allocator benchmarks.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="Origin">Whose it is and what it does.</param>
/// <param name="Notes">What a step is, the goal, and who is left out and why.</param>
/// <param name="CreateCases">Writes the scripts; not timed.</param>
internal sealed record Workload(string Name, string Origin, string Notes, Func<RunLength, IReadOnlyList<WorkloadCase>> CreateCases)
{
    public static IReadOnlyList<Workload> All { get; } =
    [
        MultipleMallocFree.Workload,
        RandomAllocations.Workload,
        MooncakeUniform.Workload,
        MooncakeRandom.Workload,
        MooncakePair.Workload,
        VmaVirtual.Workload,
        SllmChunk.Workload,
    ];
}
