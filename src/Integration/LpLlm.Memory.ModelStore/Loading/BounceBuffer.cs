using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>A reading thread's aligned memory, for what cannot be read in place. Taken on first use; for one thread.</summary>
internal sealed unsafe class BounceBuffer : IDisposable
{
    /// <summary>Small enough to stay in the processor's cache until it is copied on, large enough to keep a disk busy.</summary>
    public const int LengthBytes = 1 << 20;

    private void* _address;

    public nint Address =>
        (nint)(_address == null ? _address = NativeMemory.AlignedAlloc(LengthBytes, DirectFile.BlockBytes) : _address);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_address);
        _address = null;
    }
}
