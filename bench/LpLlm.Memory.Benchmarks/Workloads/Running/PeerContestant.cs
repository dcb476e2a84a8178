using LpLlm.Memory.Benchmarks.Workloads.Auditing;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>A heap of the whole process: the script's capacity is counted for it, in bytes as requested.</summary>
internal sealed class PeerContestant<THeap, TBlock>(string name, THeap heap) : HeapContestant(name)
    where THeap : struct, IHeap<TBlock>
    where TBlock : struct
{
    public override bool HasRange => false;

    public override IReadOnlyList<PhaseSample> Run(Script script, int threads) =>
        ScriptThreads.Run<THeap, TBlock>(heap, script, script.CapacityBytes / threads, threads);

    public override IReadOnlyList<AuditCount> Audit(Script script) =>
        throw new NotSupportedException($"{Name} has no range that an oracle could follow.");
}
