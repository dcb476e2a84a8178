namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>One way to get blocks that may say no. Nobody touches the memory: many workloads want more than the machine has.</summary>
/// <typeparam name="TBlock">What is kept to give the block back; a struct, or all references would share one slower loop.</typeparam>
internal interface IHeap<TBlock>
    where TBlock : struct
{
    bool TryTake(long lengthBytes, int alignmentBytes, out TBlock block);

    void Return(TBlock block);
}
