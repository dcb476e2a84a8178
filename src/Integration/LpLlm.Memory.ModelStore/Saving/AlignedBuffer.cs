using System.Runtime.InteropServices;

namespace LpLlm.Memory.Models;

/// <summary>Memory from which a disk can be written past the page cache. Not thread-safe.</summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    /// <summary>Suits disks with blocks of 512 B and of 4 KiB.</summary>
    public const int AlignmentBytes = 4096;

    private readonly int _lengthBytes;
    private void* _address;

    public AlignedBuffer(int lengthBytes)
    {
        _lengthBytes = lengthBytes;
        _address = NativeMemory.AlignedAlloc((nuint)lengthBytes, AlignmentBytes);
    }

    public Span<byte> Span => new(_address, _lengthBytes);

    public void Dispose()
    {
        NativeMemory.AlignedFree(_address);
        _address = null;
    }
}
