namespace LpLlm.Memory.TestKit;

/// <summary>
/// A source whose regions are addresses that nothing backs: pools of any size can be tested without memory or hardware, as long
/// as nobody touches a byte. Faults are injected by ordinal.
/// </summary>
public sealed class SimulatedMemorySource : IMemorySource
{
    private const long Spacing = 2L << 40;
    private static long s_next = 1L << 45;
    private readonly Lock _peakGate = new();
    private long _reserved;
    private int _reserves;
    private int _releases;
    private long _quarantined;

    public string Name => "simulated";

    public PoolCapabilities Capabilities { get; init; } = PoolCapabilities.PageLocked;

    /// <summary>Ordinals (from 1) of the reservations that fail.</summary>
    public HashSet<int> FailingReserves { get; } = [];

    /// <summary>While set, every reservation fails with it, as if the source's server were gone.</summary>
    public PinnedMemoryException? Outage { get; set; }

    /// <summary>Ordinals (from 1) of the releases that fail, as if the region could not be unpinned: its bytes stay reserved.</summary>
    public HashSet<int> FailingReleases { get; } = [];

    /// <summary>When set, each reservation waits for it, so that a test can look at a pool that is growing.</summary>
    public Task? Gate { get; set; }

    /// <summary>When set, each release waits for it (30 s at most), so that a test can look at a pool that is trimming.</summary>
    public Task? ReleaseGate { get; set; }

    public long ReservedBytes => Interlocked.Read(ref _reserved);

    /// <summary>Bytes of the releases that failed; part of <see cref="ReservedBytes"/>.</summary>
    public long QuarantinedBytes => Interlocked.Read(ref _quarantined);

    public long PeakReservedBytes { get; private set; }

    public int Reserves => Volatile.Read(ref _reserves);

    public async ValueTask<MemoryRegion> ReserveAsync(
        long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        cancellationToken.ThrowIfCancellationRequested();
        var ordinal = Interlocked.Increment(ref _reserves);
        if (Gate is { } gate)
        {
            await gate.WaitAsync(cancellationToken);
        }

        if (Outage is { } outage)
        {
            throw outage;
        }

        if (FailingReserves.Contains(ordinal))
        {
            throw new MemorySourceException("simulate", 12, "ENOMEM", lengthBytes, null, "This reservation was told to fail.");
        }

        progress?.Report(lengthBytes);
        var reserved = Interlocked.Add(ref _reserved, lengthBytes);
        lock (_peakGate)
        {
            PeakReservedBytes = Math.Max(PeakReservedBytes, reserved);
        }

        return new Region(this, (nint)Interlocked.Add(ref s_next, Spacing), lengthBytes);
    }

    private sealed class Region(SimulatedMemorySource source, nint address, long lengthBytes)
        : MemoryRegion(address, lengthBytes, source.Capabilities)
    {
        protected override void Release()
        {
            source.ReleaseGate?.Wait(TimeSpan.FromSeconds(30));
            if (source.FailingReleases.Contains(Interlocked.Increment(ref source._releases)))
            {
                Interlocked.Add(ref source._quarantined, LengthBytes);
                throw new MemorySourceException("simulate", 22, "EINVAL", LengthBytes, null, "This release was told to fail.")
                {
                    QuarantinedBytes = LengthBytes,
                };
            }

            Interlocked.Add(ref source._reserved, -LengthBytes);
        }
    }
}
