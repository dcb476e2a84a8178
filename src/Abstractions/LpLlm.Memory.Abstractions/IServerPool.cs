namespace LpLlm.Memory;

/// <summary>
/// What a pool over a pool server's memory can do beside renting: share leases with other processes, and have the server itself copy between a lease and
/// a device: this process need not have made its memory known to the driver, which saves it 100 ms a GiB. A keyed service under the pool's name.
/// </summary>
/// <remarks>
/// <para>Thread-safe. Wrappers around the pool (limit, statistics, leak detection) do not see shared leases; the pool's own accounts do.</para>
/// <para>
/// Until the task of a copy has completed the lease cannot be returned, and the device's memory must stay allocated. Where a device may still write to a
/// lease after a failure, because it or the connection was lost, the lease's memory is never rented again.
/// </para>
/// </remarks>
public interface IServerPool
{
    /// <summary>
    /// Rents memory that other processes of this user can open by its <see cref="SharedLease.Token"/>. All bytes are zero. It is resident, and pinned as
    /// the pool's options say, and never has another lease's bytes beside it: it takes whole multiples of 2 MiB of the pool's capacity and of the
    /// server's. A call to the server, unlike other rents: rent once, use often.
    /// </summary>
    /// <param name="lengthBytes">At least 1; the lease has exactly this length, here and in the processes that open it.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>Dispose it before the pool.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length is below 1.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">The capacity has no room, or the server has none within <c>AcquireTimeout</c>.</exception>
    /// <exception cref="PoolServerUnavailableException">The server cannot be reached now.</exception>
    /// <exception cref="PoolTransportException">The server refuses.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    ValueTask<SharedLease> RentSharedAsync(long lengthBytes, CancellationToken cancellationToken = default);

    /// <summary>
    /// Opens memory that another process, or another pool of this one, has rented with <see cref="RentSharedAsync"/>. It counts against this pool's capacity
    /// as it did there; on the server it counts once. After a restart of the server it can be opened as soon as a holder has connected again.
    /// </summary>
    /// <param name="token">The other's <see cref="SharedLease.Token"/>.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>Dispose it before the pool.</returns>
    /// <exception cref="ArgumentException">That is no token, or was changed on its way.</exception>
    /// <exception cref="InvalidOperationException">This pool has it open already.</exception>
    /// <exception cref="PoolRequestRejectedException">Nobody holds it any more, or it is another user's, or another server's: which is not told.</exception>
    /// <inheritdoc cref="RentSharedAsync" path="/exception[not(@cref='T:System.ArgumentOutOfRangeException')]"/>
    ValueTask<SharedLease> OpenSharedAsync(string token, CancellationToken cancellationToken = default);

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
