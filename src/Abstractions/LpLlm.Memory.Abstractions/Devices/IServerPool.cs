namespace LpLlm.Memory;

/// <summary>
/// The view of a pool over a pool server's memory by which the server itself copies between a lease and a device: this process need not have made its
/// memory known to the driver, which saves it 100 ms a GiB. A keyed service under the pool's name, wrapped or not.
/// </summary>
/// <remarks>
/// Thread-safe. Until the task has completed the lease cannot be returned, and the device's memory must stay allocated. Where a device may still write to a
/// lease after a failure, because it or the connection was lost, the lease's memory is never rented again.
/// </remarks>
public interface IServerPool
{
    /// <summary>Copies a part of a lease to device memory.</summary>
    /// <param name="lease">Rented from this pool, or from one above it.</param>
    /// <param name="leaseOffsetBytes">First byte in the lease, from 0.</param>
    /// <param name="target">Exported by this process.</param>
    /// <param name="targetOffsetBytes">First byte in the device's allocation, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <param name="cancellationToken">Looked at before the copy is begun: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <exception cref="ArgumentException">The lease's memory is not leased by this pool from the server.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the lease.</exception>
    /// <exception cref="ObjectDisposedException">The lease was returned.</exception>
    /// <exception cref="PoolTransportException">The server cannot be reached, has no such device, cannot open the memory, or refuses.</exception>
    ValueTask CopyToDeviceAsync(
        PinnedLease lease, long leaseOffsetBytes, ExportedMemory target, long targetOffsetBytes, long lengthBytes, CancellationToken cancellationToken = default);

    /// <summary>Copies device memory to a part of a lease.</summary>
    /// <param name="lease">Rented from this pool, or from one above it.</param>
    /// <param name="leaseOffsetBytes">First byte in the lease, from 0.</param>
    /// <param name="source">Exported by this process.</param>
    /// <param name="sourceOffsetBytes">First byte in the device's allocation, from 0.</param>
    /// <param name="lengthBytes">At least 1, and within both.</param>
    /// <param name="cancellationToken">Looked at before the copy is begun: a device cannot be stopped, so what is on its way is waited for.</param>
    /// <inheritdoc cref="CopyToDeviceAsync" path="/exception"/>
    ValueTask CopyFromDeviceAsync(
        PinnedLease lease, long leaseOffsetBytes, ExportedMemory source, long sourceOffsetBytes, long lengthBytes, CancellationToken cancellationToken = default);
}
