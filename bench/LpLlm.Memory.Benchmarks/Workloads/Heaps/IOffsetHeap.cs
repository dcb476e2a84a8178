namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>A heap within a range that is known, so that an oracle can follow what it hands out.</summary>
internal interface IOffsetHeap<TBlock> : IHeap<TBlock>
    where TBlock : struct
{
    /// <summary>The block's first byte, relative to the range.</summary>
    long OffsetOf(TBlock block);
}
