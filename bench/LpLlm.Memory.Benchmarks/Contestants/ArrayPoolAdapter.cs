using System.Buffers;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>Managed arrays: neither pinned nor aligned, and lengths rounded up to powers of two; what .NET code uses otherwise.</summary>
internal readonly struct ArrayPoolAdapter : IAdapter<ArrayBlock>, IHeap<ArrayBlock>
{
    public ArrayBlock Rent(long lengthBytes)
    {
        var array = ArrayPool<byte>.Shared.Rent((int)lengthBytes);
        array[0] = 1;
        return new ArrayBlock(array);
    }

    /// <summary>Arrays have the alignment of the garbage collector's heap, whatever is asked for.</summary>
    public bool TryTake(long lengthBytes, int alignmentBytes, out ArrayBlock block)
    {
        block = new ArrayBlock(ArrayPool<byte>.Shared.Rent((int)lengthBytes));
        return true;
    }

    public void Return(ArrayBlock block) => ArrayPool<byte>.Shared.Return(block.Array);
}
