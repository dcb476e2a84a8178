using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Tests;

/// <summary>The least that gives real leases: one native allocation each.</summary>
internal sealed unsafe class HeapPool : IPinnedMemoryPool, IPinnedLeaseOwner
{
    public int Live { get; private set; }

    public long LastRentBytes { get; private set; }

    public IFence? LastFence { get; private set; }

    public string Name => "heap";

    public string PoolName => Name;

    public PoolCapabilities Capabilities => PoolCapabilities.None;

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        LastRentBytes = lengthBytes;
        Live++;
        return new PinnedLease(
            this, new LeasedBlock((nint)NativeMemory.AlignedAlloc((nuint)lengthBytes, (nuint)alignmentBytes), lengthBytes, 42));
    }

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        lease = Rent(lengthBytes, alignmentBytes);
        return true;
    }

    public ValueTask<PinnedLease> RentAsync(long lengthBytes, int alignmentBytes = 256, CancellationToken cancellationToken = default) =>
        new(Rent(lengthBytes, alignmentBytes));

    public PoolSnapshot GetSnapshot() => default;

    public long Trim(long keepBytes = 0) => 0;

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
        LastFence = fence;
        Live--;
        NativeMemory.AlignedFree((void*)block.Address);
    }

    public void Dispose()
    {
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
