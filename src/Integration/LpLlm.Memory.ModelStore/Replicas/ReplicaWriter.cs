using LpLlm.Memory.Devices;

namespace LpLlm.Memory.Models;

/// <summary>
/// Writes models to devices, piece by piece as the disk delivers them: disk, memory and link work at the same time, and devices beside each other.
/// Thread-safe.
/// </summary>
internal sealed class ReplicaWriter : IDisposable
{
    private readonly DeviceCopiers _copiers = new();

    /// <summary>Writes all that the plans say, and returns when no device is at work with it any more, however it ended.</summary>
    /// <param name="use">The model; its pieces may still be coming.</param>
    /// <param name="plans">One for each device.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <exception cref="ModelStoreException">The load failed (U6), or the model has become shorter than a chunk.</exception>
    /// <exception cref="PinnedMemoryException">A device refused.</exception>
    /// <exception cref="DeviceCopyLostException">A device failed under way, and may never end: its memory and the model's must be left to it.</exception>
    public async Task WriteAsync(ModelUse use, IReadOnlyList<DevicePlan> plans, CancellationToken cancellationToken)
    {
        if (plans.Max(plan => plan.SourceEnd) is var end && end > use.LengthBytes)
        {
            throw new ModelStoreException(
                ModelStoreFault.Damaged, use.Model, $"its data have {use.LengthBytes} B now, and the copy needs {end}: it was saved anew; register it again.");
        }

        await use.Allocation.PrepareForDevicesAsync().ConfigureAwait(false);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Exception? first = null;
        var lost = false;
        await Task.WhenAll(plans.Select(plan => Task.Run(RunAsync(plan), CancellationToken.None))).ConfigureAwait(false);
        if (first is not null)
        {
            throw lost && first is not DeviceCopyLostException ? new DeviceCopyLostException(first) : first;
        }

        Func<Task> RunAsync(DevicePlan plan) => async () =>
        {
            try
            {
                await WriteAsync(use, plan, stop.Token).ConfigureAwait(false);
            }
            catch (Exception failure)
            {
                Interlocked.CompareExchange(ref first, failure, null); // the others are only stopped by it
                if (failure is DeviceCopyLostException)
                {
                    lost = true; // not |=, by which another device's failure could write an older false over it
                }

                await stop.CancelAsync().ConfigureAwait(false);
            }
        };
    }

    /// <summary>Gives the streams back. Nothing may be written any more.</summary>
    public void Dispose() => _copiers.Dispose();

    private async Task WriteAsync(ModelUse use, DevicePlan plan, CancellationToken cancellationToken)
    {
        var transfer = _copiers.Begin(plan.Device, CopyDirection.ToDevice);
        try
        {
            var memory = new ExtentMap(use.Allocation.Extents);
            await foreach (var piece in use.Pieces.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                foreach (var range in plan.Within(piece.OffsetBytes, piece.LengthBytes))
                {
                    await CopyAsync(transfer, memory, range, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            await transfer.DrainAsync().ConfigureAwait(false);
        }
    }

    private static async Task CopyAsync(DeviceTransfer transfer, ExtentMap memory, CopyRange range, CancellationToken cancellationToken)
    {
        var target = range.Target;
        foreach (var extent in memory.Slice(range.SourceOffset, range.LengthBytes))
        {
            await transfer.CopyAsync(extent.Address, target, extent.LengthBytes, cancellationToken).ConfigureAwait(false);
            target += (nint)extent.LengthBytes;
        }
    }
}
