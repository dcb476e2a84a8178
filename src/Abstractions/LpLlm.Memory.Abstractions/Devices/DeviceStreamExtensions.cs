namespace LpLlm.Memory;

/// <summary>Copies between leases and device buffers, with every range checked. They enqueue and return, as <see cref="IDeviceStream"/> does.</summary>
/// <remarks>The lease must stay rented, and the buffer allocated, until a fence that is recorded behind the copy has completed: return the lease with <see cref="PinnedLease.ReturnAfter"/>.</remarks>
public static class DeviceStreamExtensions
{
    /// <summary>Enqueues a copy of a part of a lease into a part of a buffer.</summary>
    /// <param name="stream">Where it is enqueued.</param>
    /// <param name="source">The lease.</param>
    /// <param name="sourceOffsetBytes">First byte in the lease, from 0.</param>
    /// <param name="target">The buffer.</param>
    /// <param name="targetOffsetBytes">First byte in the buffer, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <exception cref="ArgumentOutOfRangeException">A range is not within the lease or the buffer.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    /// <exception cref="PinnedMemoryException">The device refused.</exception>
    public static void CopyToDevice(
        this IDeviceStream stream, PinnedLease source, long sourceOffsetBytes, IDeviceBuffer target, long targetOffsetBytes, long lengthBytes)
    {
        Check(stream, source, sourceOffsetBytes, target, targetOffsetBytes, lengthBytes);
        stream.CopyToDevice(source.Address + (nint)sourceOffsetBytes, target.Address + (nint)targetOffsetBytes, lengthBytes);
    }

    /// <summary>Enqueues a copy of a part of a buffer into a part of a lease.</summary>
    /// <param name="stream">Where it is enqueued.</param>
    /// <param name="source">The buffer.</param>
    /// <param name="sourceOffsetBytes">First byte in the buffer, from 0.</param>
    /// <param name="target">The lease.</param>
    /// <param name="targetOffsetBytes">First byte in the lease, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <exception cref="ArgumentOutOfRangeException">A range is not within the lease or the buffer.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    /// <exception cref="PinnedMemoryException">The device refused.</exception>
    public static void CopyToHost(
        this IDeviceStream stream, IDeviceBuffer source, long sourceOffsetBytes, PinnedLease target, long targetOffsetBytes, long lengthBytes)
    {
        Check(stream, target, targetOffsetBytes, source, sourceOffsetBytes, lengthBytes);
        stream.CopyToHost(source.Address + (nint)sourceOffsetBytes, target.Address + (nint)targetOffsetBytes, lengthBytes);
    }

    private static void Check(
        IDeviceStream stream, PinnedLease lease, long leaseOffsetBytes, IDeviceBuffer buffer, long bufferOffsetBytes, long lengthBytes)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(buffer);
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        CheckRange(leaseOffsetBytes, lengthBytes, lease.LengthBytes);
        CheckRange(bufferOffsetBytes, lengthBytes, buffer.LengthBytes);
    }

    private static void CheckRange(long offsetBytes, long lengthBytes, long ofBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes, ofBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, ofBytes - offsetBytes);
    }
}
