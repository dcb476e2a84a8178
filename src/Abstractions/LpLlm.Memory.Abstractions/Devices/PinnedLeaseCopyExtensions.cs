namespace LpLlm.Memory;

/// <summary>Copies of leases that are awaited: when the task has completed the bytes are there, and the lease may be returned.</summary>
/// <remarks>
/// Until then <see cref="PinnedLease.Dispose"/> throws. If the device fails, so does the task, and the lease's memory is never rented again, because
/// the device may still use it. A stream is not thread-safe; the call uses it before it returns the task, not later.
/// </remarks>
public static class PinnedLeaseCopyExtensions
{
    /// <summary>Copies a whole lease to the start of a buffer.</summary>
    /// <param name="lease">The source.</param>
    /// <param name="stream">Where the copy is enqueued, behind what is there.</param>
    /// <param name="target">At least as long as the lease.</param>
    /// <param name="cancellationToken">Looked at before the copy is enqueued: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <inheritdoc cref="DeviceStreamExtensions.CopyToDevice" path="/exception"/>
    public static ValueTask CopyToDeviceAsync(
        this PinnedLease lease, IDeviceStream stream, IDeviceBuffer target, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return lease.CopyToDeviceAsync(0, lease.LengthBytes, stream, target, 0, cancellationToken);
    }

    /// <summary>Copies a part of a lease to a buffer.</summary>
    /// <param name="lease">The source.</param>
    /// <param name="offsetBytes">First byte in the lease, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <param name="stream">Where the copy is enqueued, behind what is there.</param>
    /// <param name="target">The buffer.</param>
    /// <param name="targetOffsetBytes">First byte in the buffer, from 0.</param>
    /// <param name="cancellationToken">Looked at before the copy is enqueued: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <inheritdoc cref="DeviceStreamExtensions.CopyToDevice" path="/exception"/>
    public static ValueTask CopyToDeviceAsync(
        this PinnedLease lease, long offsetBytes, long lengthBytes, IDeviceStream stream, IDeviceBuffer target, long targetOffsetBytes,
        CancellationToken cancellationToken = default) =>
        CopyAsync(lease, stream, () => stream.CopyToDevice(lease, offsetBytes, target, targetOffsetBytes, lengthBytes), cancellationToken);

    /// <summary>Copies the start of a buffer over a whole lease.</summary>
    /// <param name="lease">The target.</param>
    /// <param name="stream">Where the copy is enqueued, behind what is there.</param>
    /// <param name="source">At least as long as the lease.</param>
    /// <param name="cancellationToken">Looked at before the copy is enqueued: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <inheritdoc cref="DeviceStreamExtensions.CopyToHost" path="/exception"/>
    public static ValueTask CopyToHostAsync(
        this PinnedLease lease, IDeviceStream stream, IDeviceBuffer source, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return lease.CopyToHostAsync(0, lease.LengthBytes, stream, source, 0, cancellationToken);
    }

    /// <summary>Copies from a buffer over a part of a lease.</summary>
    /// <param name="lease">The target.</param>
    /// <param name="offsetBytes">First byte in the lease, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <param name="stream">Where the copy is enqueued, behind what is there.</param>
    /// <param name="source">The buffer.</param>
    /// <param name="sourceOffsetBytes">First byte in the buffer, from 0.</param>
    /// <param name="cancellationToken">Looked at before the copy is enqueued: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <inheritdoc cref="DeviceStreamExtensions.CopyToHost" path="/exception"/>
    public static ValueTask CopyToHostAsync(
        this PinnedLease lease, long offsetBytes, long lengthBytes, IDeviceStream stream, IDeviceBuffer source, long sourceOffsetBytes,
        CancellationToken cancellationToken = default) =>
        CopyAsync(lease, stream, () => stream.CopyToHost(source, sourceOffsetBytes, lease, offsetBytes, lengthBytes), cancellationToken);

    private static ValueTask CopyAsync(PinnedLease lease, IDeviceStream stream, Action enqueue, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(stream);
        cancellationToken.ThrowIfCancellationRequested();
        lease.BeginCopy();
        try
        {
            enqueue();
        }
        catch
        {
            lease.EndCopy(failed: false);
            throw;
        }

        return WaitAsync(lease, stream);
    }

    private static async ValueTask WaitAsync(PinnedLease lease, IDeviceStream stream)
    {
        var failed = true;
        try
        {
            await stream.Record().WaitAsync(CancellationToken.None).ConfigureAwait(false);
            failed = false;
        }
        finally
        {
            lease.EndCopy(failed);
        }
    }
}
