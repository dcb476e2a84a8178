namespace LpLlm.Memory;

/// <summary>A pool of blocks of one length, which can also be rented several at once.</summary>
/// <remarks>All members are thread-safe.</remarks>
public interface IFixedBlockPool : IPinnedMemoryPool
{
    /// <summary>The longest rent, in bytes, at least 1. Shorter rents are served with a whole block too.</summary>
    long BlockBytes { get; }

    /// <summary>How many blocks there are, at least 1, those not yet taken from the source included.</summary>
    int Blocks { get; }

    /// <summary>
    /// Rents a block of <see cref="BlockBytes"/> for each element, or nothing at all. Waits neither for live leases nor for device work,
    /// and does not stand in the queue of <see cref="IPinnedMemoryPool.RentAsync(RentRequest, CancellationToken)"/>.
    /// </summary>
    /// <param name="leases">Gets the leases, owned by the caller; at least one element. Left as it was when the answer is false.</param>
    /// <returns>
    /// <see langword="false"/> when at one instant fewer blocks than asked for were free, or the pool never has so many. Other threads never
    /// see part of a failed call: it takes no block that it does not keep.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="leases"/> is empty.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    bool TryRentBlocks(Span<PinnedLease> leases);
}
