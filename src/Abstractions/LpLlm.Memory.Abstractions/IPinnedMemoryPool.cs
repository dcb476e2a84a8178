namespace LpLlm.Memory;

/// <summary>A pool of page-locked host memory that is rented in leases.</summary>
/// <remarks>
/// All members are thread-safe. Dispose every lease exactly where its use ends; a pool that is disposed with live leases
/// waits for them, then throws, and never unmaps memory under a live lease. Disposing twice is a no-op.
/// </remarks>
public interface IPinnedMemoryPool : IDisposable, IAsyncDisposable
{
    /// <summary>The name the pool was registered under, 1 to 64 characters of <c>[A-Za-z0-9_-]</c>.</summary>
    string Name { get; }

    /// <summary>What holds for every lease of this pool so far. A lease says for itself what holds for it.</summary>
    PoolCapabilities Capabilities { get; }

    /// <summary>
    /// Rents a block, growing the pool up to its capacity if it must. Does not wait for live leases; where only blocks returned
    /// behind fences stand in the way, it waits for their device work, as long as the pool's options allow.
    /// </summary>
    /// <param name="lengthBytes">Bytes wanted, at least 1. The lease has exactly this length.</param>
    /// <param name="alignmentBytes">Alignment of the address: a power of two from 1 B to 2 MiB (at least 256 B is always given).</param>
    /// <returns>A lease over uninitialised memory, owned by the caller.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length or the alignment is out of range.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">
    /// Nothing that fits is free now. When the pool had to grow and the system refused, the inner exception says so.
    /// </exception>
    /// <exception cref="PinnedMemoryException">The pool does not work now, for example because its server is gone.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    PinnedLease Rent(long lengthBytes, int alignmentBytes = 256);

    /// <summary>As <see cref="Rent"/>, but answers <see langword="false"/> instead of throwing when nothing that fits is free now.</summary>
    /// <param name="lengthBytes">Bytes wanted, at least 1.</param>
    /// <param name="lease">The lease, or <see langword="null"/>.</param>
    /// <param name="alignmentBytes">Alignment of the address: a power of two from 1 B to 2 MiB.</param>
    /// <returns>
    /// <see langword="false"/> only for "no room now", a request above what the pool can ever serve included (<see cref="Rent"/> tells
    /// which it is); every other failure throws.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">The length or the alignment is out of range.</exception>
    /// <exception cref="PinnedMemoryException">The pool does not work now, for example because its server is gone.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    bool TryRent(long lengthBytes, [NotNullWhen(true)] out PinnedLease? lease, int alignmentBytes = 256);

    /// <summary>As <see cref="Rent"/>, but waits for room: first come, first served among waiters of one priority.</summary>
    /// <param name="request">Length, alignment, priority and longest wait.</param>
    /// <param name="cancellationToken">Gives up the place in the queue; a cancelled call never keeps memory.</param>
    /// <returns>A lease over uninitialised memory, owned by the caller.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A member of the request is out of range.</exception>
    /// <exception cref="PinnedMemoryExhaustedException">The request can never fit, or the longest wait is over.</exception>
    /// <exception cref="PinnedMemoryException">The pool does not work now, for example because its server is gone.</exception>
    /// <exception cref="OperationCanceledException">The token fired before memory was handed over.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed, or was while waiting.</exception>
    ValueTask<PinnedLease> RentAsync(RentRequest request, CancellationToken cancellationToken = default);

    /// <summary><see cref="RentAsync(RentRequest, CancellationToken)"/> at normal priority, with the wait that the pool's options allow.</summary>
    /// <param name="lengthBytes">Bytes wanted, at least 1.</param>
    /// <param name="alignmentBytes">Alignment of the address: a power of two from 1 B to 2 MiB.</param>
    /// <param name="cancellationToken">Gives up the place in the queue; a cancelled call never keeps memory.</param>
    /// <returns>A lease over uninitialised memory, owned by the caller.</returns>
    ValueTask<PinnedLease> RentAsync(long lengthBytes, int alignmentBytes = 256, CancellationToken cancellationToken = default) =>
        RentAsync(new RentRequest(lengthBytes) { AlignmentBytes = alignmentBytes }, cancellationToken);

    /// <summary>The pool's accounts at one instant. Cheap enough to be polled; allocates nothing.</summary>
    PoolSnapshot GetSnapshot();

    /// <summary>Gives idle memory back to the source.</summary>
    /// <param name="keepBytes">Reserved bytes to keep at least, 0 or more.</param>
    /// <returns>Bytes given back: whole idle slabs only.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="keepBytes"/> is negative.</exception>
    long Trim(long keepBytes = 0);
}
