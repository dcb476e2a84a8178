using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.TestKit;

/// <summary>A pool over plain native memory. New memory is filled with NaN, so that reading what nobody wrote shows.</summary>
public sealed class FakePool(
    string name = "fake", long capacityBytes = 1L << 30, PoolCapabilities capabilities = PoolCapabilities.None)
    : IPinnedMemoryPool, IPinnedLeaseOwner
{
    // Pinning takes whole pages, and no two blocks may share one.
    private const int PageBytes = 4096;

    private readonly Lock _gate = new();
    private long _usedBytes;
    private long _peakBytes;
    private long _liveLeases;
    private long _rents;
    private long _failedRents;

    public string Name { get; } = name;

    public string PoolName => Name;

    public PoolCapabilities Capabilities { get; } = capabilities;

    public long LiveLeases => GetSnapshot().LiveLeases;

    public long PeakUsedBytes => GetSnapshot().PeakUsedBytes;

    public bool IsDisposed { get; private set; }

    /// <summary>The rent, counted from 1 over the pool's life, that fails; 0 for none.</summary>
    public long FailingRent { get; set; }

    /// <summary>Pins each block, for tests on a real device: 10 to 100 µs a rent; null (default) for plain memory.</summary>
    public IHostPinner? Pinner { get; init; }

    /// <summary>Returned memory is never freed: for a test in which something writes to it too late on purpose.</summary>
    public bool KeepsReturnedMemory { get; set; }

    public long LastRentBytes { get; private set; }

    /// <summary>What the last return was to wait for: the memory is kept until then, but counted as free at once.</summary>
    public IFence? LastFence { get; private set; }

    public long TotalRents => GetSnapshot().TotalRents;

    /// <summary>Called within every rent, outside the lock: lets a test hold the dispatcher where it is.</summary>
    public Action<long>? Renting { get; set; }

    public PinnedLease Rent(long lengthBytes, int alignmentBytes = 256)
    {
        Renting?.Invoke(lengthBytes);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            if (++_rents == FailingRent || lengthBytes > capacityBytes - _usedBytes)
            {
                _failedRents++;
                throw new PinnedMemoryExhaustedException(
                    Name, ExhaustionCause.Limit, lengthBytes, capacityBytes, SnapshotUnsynchronized());
            }

            LastRentBytes = lengthBytes;
            _usedBytes += lengthBytes;
            _peakBytes = Math.Max(_peakBytes, _usedBytes);
            _liveLeases++;
        }

        return new PinnedLease(this, new LeasedBlock(Allocate(lengthBytes, alignmentBytes), lengthBytes, Token: 0));
    }

    public bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256)
    {
        try
        {
            lease = Rent(lengthBytes, alignmentBytes);
            return true;
        }
        catch (PinnedMemoryExhaustedException)
        {
            lease = null;
            return false;
        }
    }

    public ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Rent(request.LengthBytes, request.AlignmentBytes));

    public PoolSnapshot GetSnapshot()
    {
        lock (_gate)
        {
            return SnapshotUnsynchronized();
        }
    }

    public long Trim(long keepBytes = 0) => 0;

    public void TakeBack(in LeasedBlock block, IFence? fence)
    {
        lock (_gate)
        {
            LastFence = fence;
            _usedBytes -= block.LengthBytes;
            _liveLeases--;
        }

        if (fence is null)
        {
            Free(block);
        }
        else
        {
            _ = FreeBehindAsync(block, fence);
        }
    }

    public void Dispose() => IsDisposed = true;

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private static long WholePages(long lengthBytes) => (lengthBytes + PageBytes - 1) / PageBytes * PageBytes;

    private unsafe nint Allocate(long lengthBytes, int alignmentBytes)
    {
        var allocated = WholePages(lengthBytes);
        var address = NativeMemory.AlignedAlloc((nuint)allocated, (nuint)Math.Max(alignmentBytes, PageBytes));
        NativeMemory.Fill(address, (nuint)allocated, 0xFF);
        Pinner?.Pin((nint)address, allocated);
        return (nint)address;
    }

    private unsafe void Free(in LeasedBlock block)
    {
        if (!KeepsReturnedMemory)
        {
            Pinner?.Unpin(block.Address, WholePages(block.LengthBytes));
            NativeMemory.AlignedFree((void*)block.Address);
        }
    }

    // A fence that fails keeps the memory for ever, as a real pool does: a device may still write to it.
    private async Task FreeBehindAsync(LeasedBlock block, IFence fence)
    {
        await fence.WaitAsync();
        Free(block);
    }

    private PoolSnapshot SnapshotUnsynchronized() => new()
    {
        CapacityBytes = capacityBytes,
        UsedBytes = _usedBytes,
        LargestFreeBytes = capacityBytes - _usedBytes,
        PeakUsedBytes = _peakBytes,
        LiveLeases = _liveLeases,
        TotalRents = _rents,
        FailedRents = _failedRents,
    };
}
