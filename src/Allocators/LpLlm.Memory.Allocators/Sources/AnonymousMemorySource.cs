using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Sources;

/// <summary>Private memory of this process: mmap, huge pages where the kernel has them, populated and page-locked.</summary>
internal sealed class AnonymousMemorySource(
    IHostPinner pinner,
    bool transparentHugePages,
    bool allowPageable,
    ILogger logger,
    MemoryBudget? budget = null,
    bool touchPages = false) : IMemorySource
{
    private readonly MemoryBudget _budget = budget ?? new MemoryBudget();
    private int _warned;

    public string Name => "anonymous";

    public PoolCapabilities Capabilities => pinner.Capabilities;

    public void EnsureAvailable(long totalBytes)
    {
        LocalPlatform.EnsureSupported();
        _budget.EnsureAvailable(totalBytes);
    }

    public ValueTask<MemoryRegion> ReserveAsync(
        long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        LocalPlatform.EnsureSupported();
        // Populating takes 50 ms to 1 s a GiB: never on the caller's thread.
        return new ValueTask<MemoryRegion>(Task.Run<MemoryRegion>(() => Reserve(lengthBytes, progress, cancellationToken), cancellationToken));
    }

    private AnonymousRegion Reserve(long lengthBytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        long page = Environment.SystemPageSize;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, long.MaxValue / 2);
        var rounded = (lengthBytes + page - 1) / page * page;
        _budget.EnsureAvailable(rounded);
        var address = AlignedMapping.Create(rounded);
        try
        {
            AlignedMapping.Advise(address, rounded, transparentHugePages);
            var pinned = RegionPreparer.Prepare(
                address, rounded, pinner, allowPageable ? WarnPageable : null, touchPages, progress, cancellationToken);
            return new AnonymousRegion(address, rounded, pinned ? pinner : null);
        }
        catch
        {
            AlignedMapping.Destroy(address, rounded);
            throw;
        }
    }

    private void WarnPageable(MemorySourceException refusal)
    {
        if (Interlocked.Exchange(ref _warned, 1) == 0)
        {
            AllocatorsLog.PageableMemory(logger, refusal.Message);
        }
    }

    private sealed class AnonymousRegion(nint address, long lengthBytes, IHostPinner? pinner)
        : MemoryRegion(address, lengthBytes, pinner?.Capabilities ?? PoolCapabilities.None)
    {
        protected override void Release()
        {
            if (pinner is not null)
            {
                RegionPreparer.Unpin(pinner, Address, LengthBytes);
            }

            AlignedMapping.Destroy(Address, LengthBytes);
        }
    }
}
