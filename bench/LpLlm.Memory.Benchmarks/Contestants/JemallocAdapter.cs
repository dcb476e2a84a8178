using System.Runtime.InteropServices;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>jemalloc, by function pointer. Debian builds it without a prefix: asked of its own handle, these names are jemalloc's.</summary>
internal readonly unsafe struct JemallocAdapter(nint library) : IAdapter<nint>, IHeap<nint>
{
    /// <summary>Debian: package libjemalloc2.</summary>
    public const string LibraryName = "libjemalloc.so.2";

    private readonly delegate* unmanaged<nuint, nuint, byte*> _allocate =
        (delegate* unmanaged<nuint, nuint, byte*>)NativeLibrary.GetExport(library, "aligned_alloc");

    private readonly delegate* unmanaged<void*, void> _free =
        (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, "free");

    public nint Rent(long lengthBytes)
    {
        var address = _allocate(Alignment.Bytes, (nuint)lengthBytes);
        *address = 1;
        return (nint)address;
    }

    public bool TryTake(long lengthBytes, int alignmentBytes, out nint block)
    {
        block = (nint)_allocate(Alignment.AtLeastPointer(alignmentBytes), (nuint)lengthBytes);
        return block != 0;
    }

    public void Return(nint block) => _free((void*)block);
}
