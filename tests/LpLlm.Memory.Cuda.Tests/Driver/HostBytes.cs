using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda.Driver;

/// <summary>Page-aligned memory of a test, to be pinned.</summary>
internal sealed unsafe class HostBytes : IDisposable
{
    public HostBytes(int lengthBytes)
    {
        LengthBytes = lengthBytes;
        Address = (nint)NativeMemory.AlignedAlloc((nuint)lengthBytes, 4096);
        Span.Clear();
    }

    public nint Address { get; }

    public int LengthBytes { get; }

    public Span<byte> Span => new((void*)Address, LengthBytes);

    public void Fill(int seed) => new Random(seed).NextBytes(Span);

    public void Dispose() => NativeMemory.AlignedFree((void*)Address);
}
