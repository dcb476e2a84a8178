using LpLlm.Memory.Benchmarks.Workloads.Auditing;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>A heap with a range of its own: says itself when it is full, and can be audited.</summary>
/// <param name="name">For the table.</param>
/// <param name="open">Makes one of that capacity.</param>
/// <param name="unitBytes">What it rounds lengths up to.</param>
internal sealed class PoolContestant<THeap, TBlock>(string name, Func<long, OpenHeap<THeap>> open, long unitBytes) : HeapContestant(name)
    where THeap : struct, IOffsetHeap<TBlock>
    where TBlock : struct
{
    public override bool HasRange => true;

    public override IReadOnlyList<PhaseSample> Run(Script script, int threads)
    {
        using var heap = open(script.CapacityBytes);
        return ScriptThreads.Run<THeap, TBlock>(heap.Heap, script, long.MaxValue, threads);
    }

    public override IReadOnlyList<AuditCount> Audit(Script script)
    {
        using var heap = open(script.CapacityBytes);
        var audit = new Audit(script.CapacityBytes, unitBytes);
        var audited = new AuditedHeap<THeap, TBlock>(heap.Heap, audit);
        var runner = new ScriptRunner<AuditedHeap<THeap, TBlock>, AuditedBlock<TBlock>>(audited, script, long.MaxValue);
        var counts = new List<AuditCount>();
        foreach (var phase in script.Phases)
        {
            runner.Run(phase.Steps);
            var count = audit.TakeCount();
            if (phase.IsMeasured)
            {
                counts.Add(count);
            }
        }

        runner.ReturnAll();
        return counts;
    }
}
