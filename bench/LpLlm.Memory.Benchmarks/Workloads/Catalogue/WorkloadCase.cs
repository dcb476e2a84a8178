using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>Scripts that differ in one number and share rows of a table.</summary>
/// <param name="Name">For the table.</param>
/// <param name="Scripts">Run one after another; all have the same measured phases.</param>
internal sealed record WorkloadCase(string Name, params IReadOnlyList<Script> Scripts)
{
    /// <summary>How many threads run the script at once.</summary>
    public int Threads { get; init; } = 1;

    public Peers Peers { get; init; } = Peers.Native | Peers.ArrayPool;

    /// <summary>The length of all blocks, where they are of one: what a pool of fixed blocks is made for.</summary>
    public long BlockBytes { get; init; }
}
