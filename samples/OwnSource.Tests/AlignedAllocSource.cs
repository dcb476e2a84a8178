using System.Runtime.InteropServices;

namespace LpLlm.Memory.Samples.OwnSource;

/// <summary>A memory source of one's own, the smallest there is: ordinary memory of the C runtime, which is not page-locked and says so.</summary>
public sealed class AlignedAllocSource : IMemorySource
{
    public string Name => "aligned-alloc";

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    public ValueTask<MemoryRegion> ReserveAsync(
        long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        cancellationToken.ThrowIfCancellationRequested();
        MemoryRegion region = new Region(lengthBytes);
        progress?.Report(lengthBytes);
        return ValueTask.FromResult(region);
    }

    private sealed unsafe class Region(long lengthBytes) : MemoryRegion(Allocate(lengthBytes), lengthBytes, PoolCapabilities.None)
    {
        protected override void Release() => NativeMemory.AlignedFree((void*)Address);

        private static nint Allocate(long lengthBytes)
        {
            var address = NativeMemory.AlignedAlloc((nuint)lengthBytes, 2 << 20);
            NativeMemory.Clear(address, (nuint)lengthBytes);
            return (nint)address;
        }
    }
}
