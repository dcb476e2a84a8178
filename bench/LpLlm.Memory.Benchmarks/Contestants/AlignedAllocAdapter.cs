using System.Runtime.InteropServices;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>The C library's allocator through .NET's own door.</summary>
internal readonly unsafe struct AlignedAllocAdapter : IAdapter<nint>, IHeap<nint>
{
    public nint Rent(long lengthBytes)
    {
        var address = (byte*)NativeMemory.AlignedAlloc((nuint)lengthBytes, Alignment.Bytes);
        *address = 1;
        return (nint)address;
    }

    public bool TryTake(long lengthBytes, int alignmentBytes, out nint block)
    {
        block = (nint)NativeMemory.AlignedAlloc((nuint)lengthBytes, Alignment.AtLeastPointer(alignmentBytes));
        return block != 0;
    }

    public void Return(nint block) => NativeMemory.AlignedFree((void*)block);
}
