using System.Runtime.InteropServices;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>mimalloc, by function pointer: an ordinary call into native code, as a library that binds it would make.</summary>
internal readonly unsafe struct MimallocAdapter(nint library) : IAdapter<nint>, IHeap<nint>
{
    /// <summary>Debian: package libmimalloc2.0.</summary>
    public const string LibraryName = "libmimalloc.so.2";

    private readonly delegate* unmanaged<nuint, nuint, byte*> _allocate =
        (delegate* unmanaged<nuint, nuint, byte*>)NativeLibrary.GetExport(library, "mi_malloc_aligned");

    private readonly delegate* unmanaged<void*, void> _free =
        (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, "mi_free");

    public nint Rent(long lengthBytes)
    {
        var address = _allocate((nuint)lengthBytes, Alignment.Bytes);
        *address = 1;
        return (nint)address;
    }

    public bool TryTake(long lengthBytes, int alignmentBytes, out nint block)
    {
        block = (nint)_allocate((nuint)lengthBytes, Alignment.AtLeastPointer(alignmentBytes));
        return block != 0;
    }

    public void Return(nint block) => _free((void*)block);
}
