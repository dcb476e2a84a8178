using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>Memory of this process, private or shared: mapped on the best pages there are, bound to a NUMA node, populated and page-locked.</summary>
internal sealed class HostMemorySource : IMemorySource
{
    private readonly HostMemorySettings _settings;
    private readonly IHostPinner _pinner;
    private readonly ILogger _logger;
    private readonly HugePageReserve _reserve;
    private readonly PageSelector _selector;
    private readonly MemoryBudget _budget;
    private readonly NumaPolicy? _numa;
    private Task _lastTurn = Task.CompletedTask;
    private int _warned;
    private int _warnedSmall;
    private long _quarantined;

    public HostMemorySource(HostMemorySettings settings, IHostPinner pinner, ILogger logger, MemoryBudget? budget = null, string sysPath = "/sys")
    {
        if (OperatingSystem.IsWindows())
        {
            // It has neither the reserve nor the call that populates: there pages are the system's, and touched.
            var pages = settings.HugePages == HugePageMode.Auto ? HugePageMode.Never : settings.HugePages;
            settings = settings with { HugePages = pages, TouchPages = true };
        }

        _settings = settings;
        _pinner = pinner;
        _logger = logger;
        _reserve = new HugePageReserve(settings.HugePageBytes, settings.NumaNode, sysPath);
        _selector = new PageSelector(settings, _reserve, sysPath);
        _budget = budget ?? new MemoryBudget(numaNode: settings.NumaNode);
        _numa = settings.NumaNode is { } node ? new NumaPolicy(node) : null;
        Capabilities = pinner.Capabilities
            | (settings.HugePages == HugePageMode.Require ? PoolCapabilities.PageLocked : PoolCapabilities.None)
            | (settings.Shared ? PoolCapabilities.Shared : PoolCapabilities.None);
    }

    public string Name => _settings.Shared ? "shared" : "anonymous";

    public PoolCapabilities Capabilities { get; }

    /// <summary>
    /// Bytes of regions that could not be given back and stay mapped. The source counts those of a reservation that failed too, which no
    /// pool has ever seen.
    /// </summary>
    public long QuarantinedBytes => Interlocked.Read(ref _quarantined);

    public void EnsureAvailable(long totalBytes)
    {
        LocalPlatform.EnsureSupported(_settings);
        _numa?.EnsureAvailable(totalBytes);
        if (_settings.HugePages == HugePageMode.Require)
        {
            _reserve.EnsureAvailable(totalBytes);
            return;
        }

        // Reserved pages left the free memory when they were reserved: only the rest is asked of it.
        var reserved = _settings.HugePages == HugePageMode.Auto ? _reserve.GetFreeBytes() : 0;
        if (totalBytes > reserved)
        {
            _budget.EnsureAvailable(totalBytes - reserved);
        }
    }

    public ValueTask<MemoryRegion> ReserveAsync(
        long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, long.MaxValue / 2);
        LocalPlatform.EnsureSupported(_settings);
        return new ValueTask<MemoryRegion>(ReserveInTurnAsync(lengthBytes, progress, cancellationToken));
    }

    /// <summary>
    /// One region at a time is mapped and populated, or two would be told of the same free memory and both take it. When it is resident, it is the next
    /// one's turn, while this one is pinned.
    /// </summary>
    private async Task<MemoryRegion> ReserveInTurnAsync(long lengthBytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var before = Interlocked.Exchange(ref _lastTurn, turn.Task);
        try
        {
            await before.WaitAsync(cancellationToken).ConfigureAwait(false);

            // Populating takes 50 ms to 1 s a GiB: never on the caller's thread.
            return await Task.Run(() => Reserve(lengthBytes, () => turn.TrySetResult(), progress, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // At once, or, if it was cancelled before it came, when it would have come.
            _ = before.ContinueWith(
                _ => turn.TrySetResult(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>Makes a region of memory that another process made and still holds. Its bytes stay, wherever they are.</summary>
    /// <param name="file">Sealed. The region owns it if the call succeeds.</param>
    /// <param name="status">Of that file, checked by the caller.</param>
    /// <param name="cancellationToken">Looked at before every 2 MiB.</param>
    /// <exception cref="MemorySourceException">It has holes, or cannot be mapped or page-locked.</exception>
    public Task<SharedMemoryRegion> AdoptAsync(SafeFileHandle file, MemoryFileStatus status, CancellationToken cancellationToken)
    {
        LocalPlatform.EnsureSupported(_settings);
        return Task.Run(
            () =>
            {
                var whole = new WholeFile(file, status.LengthBytes);
                whole.Report(0);

                // Merging costs what was merged before nothing, and a device's copies nothing either: the kernel leaves pages alone that one has pinned.
                var pages = status.Pages.Kind == PageKind.Reserved ? status.Pages : _selector.SelectOrdinary();
                return (SharedMemoryRegion)Prepare(HostMapping.Open(file, status.LengthBytes, pages), numa: null, whole, whenResident: null, cancellationToken);
            },
            cancellationToken);
    }

    /// <summary>Makes a region of a section that another process holds on Windows: its length is final, and no page of it can be given back.</summary>
    /// <param name="section">The region owns it if the call succeeds.</param>
    /// <param name="lengthBytes">Its length, a multiple of the page size.</param>
    /// <param name="cancellationToken">Looked at before every 2 MiB.</param>
    /// <exception cref="MemorySourceException">It cannot be mapped or page-locked, or is shorter.</exception>
    public Task<SharedMemoryRegion> AdoptAsync(SafeFileHandle section, long lengthBytes, CancellationToken cancellationToken) => Task.Run(
        () => (SharedMemoryRegion)Prepare(
            HostMapping.Open(section, lengthBytes, _selector.SelectOrdinary()), numa: null, progress: null, whenResident: null, cancellationToken),
        cancellationToken);

    private MemoryRegion Reserve(long lengthBytes, Action whenResident, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        _numa?.EnsureAvailable(lengthBytes);
        var mapping = Map(lengthBytes);
        var region = Prepare(mapping, _numa, progress, whenResident, cancellationToken);
        if (_settings is { Shared: true, MakesSegments: false })
        {
            Seal(mapping, region);
        }

        return region;
    }

    /// <summary>A segment is sealed when it is given away, for reading or for writing; other shared memory is given away at once.</summary>
    private static void Seal(HostMapping mapping, MemoryRegion made)
    {
        try
        {
            mapping.Seal();
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    private MemoryRegion Prepare(
        HostMapping mapping, NumaPolicy? numa, IProgress<long>? progress, Action? whenResident, CancellationToken cancellationToken)
    {
        var pinned = new PinnedMapping(mapping, _pinner, _settings);
        try
        {
            numa?.Bind(mapping.Address, mapping.LengthBytes);
            pinned.Prepare(_settings.AllowPageable ? WarnPageable : null, progress, whenResident, cancellationToken);
            numa?.Verify(mapping.Address, mapping.LengthBytes);
        }
        catch (Exception failure)
        {
            RollBack(pinned, failure);
            throw;
        }

        LogPages(pinned);
        return mapping.File is { } file
            ? new SharedMemoryRegion(pinned, file, GiveBack)
            : new HostMemoryRegion(pinned, GiveBack);
    }

    private void LogPages(PinnedMapping pinned)
    {
        var (lengthBytes, pages) = (pinned.Mapping.LengthBytes, pinned.Mapping.Pages);
        if (pinned.CollapseError is not 0 and var error)
        {
            pages = pages with { Kind = PageKind.Small };
            if (Interlocked.Exchange(ref _warnedSmall, 1) == 0)
            {
                AllocatorsLog.PagesNotMerged(_logger, Name, lengthBytes, Errno.NameOf(error));
            }
        }

        if (_settings.MakesSegments)
        {
            AllocatorsLog.SegmentMapped(_logger, lengthBytes, pages, _settings.HugePages);
        }
        else
        {
            AllocatorsLog.RegionMapped(_logger, Name, lengthBytes, pages, _settings.HugePages);
        }
    }

    private HostMapping Map(long lengthBytes)
    {
        var pages = _selector.Select(lengthBytes);
        try
        {
            return Map(lengthBytes, pages);
        }
        catch (MemorySourceException refusal) when (pages.Kind == PageKind.Reserved && refusal.NativeErrorCode == Errno.ENoMem)
        {
            // Somebody took the pages since they were counted.
            return _settings.HugePages == HugePageMode.Auto
                ? Map(lengthBytes, _selector.SelectOrdinary())
                : throw _reserve.Refusal(lengthBytes, refusal);
        }
    }

    private HostMapping Map(long lengthBytes, PageChoice pages)
    {
        var rounded = pages.RoundUp(lengthBytes);
        if (pages.Kind != PageKind.Reserved)
        {
            _budget.EnsureAvailable(rounded);
        }

        return HostMapping.Create(rounded, pages, _settings.Shared);
    }

    private void GiveBack(PinnedMapping pinned)
    {
        try
        {
            pinned.GiveBack();
        }
        catch (MemorySourceException)
        {
            Interlocked.Add(ref _quarantined, pinned.Mapping.LengthBytes);
            throw;
        }
    }

    /// <exception cref="MemorySourceException">What was taken could not be given back either; it carries both failures.</exception>
    private void RollBack(PinnedMapping pinned, Exception failure)
    {
        try
        {
            GiveBack(pinned);
        }
        catch (MemorySourceException stuck)
        {
            throw new MemorySourceException(
                stuck.Operation, stuck.NativeErrorCode, stuck.NativeErrorName, stuck.RequestedBytes, stuck.LimitBytes,
                $"{stuck.Remedy} This was the undoing of a region that could not be made ready: {failure.Message}",
                new AggregateException(failure, stuck))
            {
                QuarantinedBytes = stuck.QuarantinedBytes,
            };
        }
    }

    private void WarnPageable(MemorySourceException refusal)
    {
        if (Interlocked.Exchange(ref _warned, 1) == 0)
        {
            AllocatorsLog.PageableMemory(_logger, refusal.Message);
        }
    }
}
