using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Sources;

/// <summary>
/// A mapping that is populated and pinned in pieces, so that it can be cancelled, reports progress and never asks for too much at
/// once; and that is given back whole, or, if a piece cannot be unpinned, not at all.
/// </summary>
internal sealed class PinnedMapping(HostMapping mapping, IHostPinner pinner, HostMemorySettings settings)
{
    private readonly List<(nint Address, long LengthBytes)> _pinned = [];

    // Reserved pages are resident anyway, and mlock on them fails against RLIMIT_MEMLOCK, which they do not need. So a pinner is asked
    // only for what the pages do not have by themselves: mlock nothing, a device's registration still DeviceVisible.
    private readonly bool _pinning = (pinner.Capabilities & ~mapping.Pages.Capabilities) != PoolCapabilities.None;

    private readonly PageCollapser? _collapser = mapping.Pages.Kind == PageKind.Collapsed ? new PageCollapser() : null;

    public HostMapping Mapping => mapping;

    /// <summary>Why the kernel did not merge all pages to huge ones; 0 if it did, or was not asked.</summary>
    public int CollapseError => _collapser?.Error ?? 0;

    /// <summary>What holds for the range; final once <see cref="Prepare"/> is through.</summary>
    public PoolCapabilities Capabilities =>
        mapping.Pages.Capabilities
        | (_pinned.Count > 0 ? pinner.Capabilities : PoolCapabilities.None)
        | (mapping.File is null ? PoolCapabilities.None : PoolCapabilities.Shared);

    /// <summary>Makes all pages resident and pins them: the very pages that are used later, no copy of them.</summary>
    /// <param name="allowPageable">Gets the refusal that is let pass; null to let none pass.</param>
    /// <param name="progress">Gets the bytes that are ready.</param>
    /// <param name="whenResident">Called when all is populated, and not all is pinned.</param>
    /// <param name="cancellationToken">Looked at before every 2 MiB that are populated, and every piece that is pinned.</param>
    public void Prepare(
        Action<MemorySourceException>? allowPageable, IProgress<long>? progress, Action? whenResident, CancellationToken cancellationToken)
    {
        var pinning = _pinning;
        var readyBytes = 0L;
        using var populator = new PagePopulator(mapping, settings.PieceBytes, settings.TouchPages, _collapser, cancellationToken);
        for (var i = 0; i < populator.PieceCount; i++)
        {
            var (address, lengthBytes) = populator.Wait(i);
            if (i == populator.PieceCount - 1)
            {
                whenResident?.Invoke();
            }

            if (pinning && !(pinning = TryPin(address, lengthBytes, allowPageable)))
            {
                // All or nothing: half of a region page-locked would be a promise nobody can use.
                Unpin().ForEach(ExceptionDispatchInfo.Throw);
            }

            progress?.Report(readyBytes += lengthBytes);
        }
    }

    /// <summary>
    /// Unpins and unmaps. What cannot be unpinned may still be read and written by a device, so it is never unmapped, and the whole
    /// region stays with it: the pool that keeps its quota counts whole slabs, and both accounts agree to the byte.
    /// </summary>
    /// <exception cref="MemorySourceException">The region stays mapped; its <see cref="MemorySourceException.QuarantinedBytes"/> say so.</exception>
    public void GiveBack()
    {
        var failures = Unpin();
        if (failures.Count == 0)
        {
            try
            {
                mapping.Destroy();
                return;
            }
            catch (MemorySourceException refusal)
            {
                failures.Add(refusal);
            }
        }

        mapping.File?.Dispose(); // the mapping alone keeps the pages; a descriptor would wait for the finalizer
        throw Quarantine(failures);
    }

    private bool TryPin(nint address, long lengthBytes, Action<MemorySourceException>? allowPageable)
    {
        try
        {
            pinner.Pin(address, lengthBytes);
            _pinned.Add((address, lengthBytes));
            return true;
        }
        // On reserved pages it was not page-locking that was refused, and AllowPageable gives up nothing else.
        catch (MemorySourceException refusal) when (allowPageable is not null && mapping.Pages.Kind != PageKind.Reserved)
        {
            allowPageable(refusal);
            return false;
        }
    }

    /// <summary>Unpins every piece it can, also behind one that it cannot.</summary>
    private List<Exception> Unpin()
    {
        var failures = new List<Exception>();
        _pinned.RemoveAll(piece =>
        {
            try
            {
                pinner.Unpin(piece.Address, piece.LengthBytes);
                return true;
            }
            catch (Exception failure)
            {
                failures.Add(failure);
                return false;
            }
        });

        return failures;
    }

    private MemorySourceException Quarantine(List<Exception> failures)
    {
        var first = failures[0] as MemorySourceException;
        return new MemorySourceException(
            first?.Operation ?? $"{pinner.Name}: unpin",
            first?.NativeErrorCode ?? 0,
            first?.NativeErrorName ?? failures[0].GetType().Name,
            first?.RequestedBytes ?? mapping.LengthBytes,
            limitBytes: null,
            $"The {mapping.LengthBytes} B of the region are quarantined: they stay mapped and counted until the process ends, "
            + "because a device may still use them. Restart the process to get them back.",
            failures.Count == 1 ? failures[0] : new AggregateException(failures))
        {
            QuarantinedBytes = mapping.LengthBytes,
        };
    }
}
