using LpLlm.Memory.Benchmarks.Workloads.Heaps;

namespace LpLlm.Memory.Benchmarks.Workloads.Auditing;

/// <summary>A heap whose every answer is checked against an oracle. Never timed.</summary>
internal readonly struct AuditedHeap<THeap, TBlock>(THeap heap, Audit audit) : IHeap<AuditedBlock<TBlock>>
    where THeap : struct, IOffsetHeap<TBlock>
    where TBlock : struct
{
    public bool TryTake(long lengthBytes, int alignmentBytes, out AuditedBlock<TBlock> block)
    {
        var taken = heap.TryTake(lengthBytes, alignmentBytes, out var inner);
        block = new AuditedBlock<TBlock>(inner, lengthBytes);
        if (taken)
        {
            audit.Take(heap.OffsetOf(inner), lengthBytes);
        }
        else
        {
            audit.Fail(lengthBytes);
        }

        return taken;
    }

    public void Return(AuditedBlock<TBlock> block)
    {
        audit.Return(heap.OffsetOf(block.Inner), block.LengthBytes);
        heap.Return(block.Inner);
    }
}
