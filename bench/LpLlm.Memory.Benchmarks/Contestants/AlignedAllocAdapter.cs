using System.Runtime.InteropServices;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>The C library's allocator through .NET's own door.</summary>
internal readonly unsafe struct AlignedAllocAdapter : IAdapter<nint>
{
    public nint Rent(long lengthBytes)
    {
        var address = (byte*)NativeMemory.AlignedAlloc((nuint)lengthBytes, Alignment.Bytes);
        *address = 1;
        return (nint)address;
    }

    public void Return(nint block) => NativeMemory.AlignedFree((void*)block);
}
