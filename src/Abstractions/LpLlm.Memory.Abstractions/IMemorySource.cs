namespace LpLlm.Memory;

/// <summary>Where bytes come from: the operating system, a server, a simulation. Hands out coarse regions; pools divide them.</summary>
/// <remarks>Implementations are thread-safe. A region is ready for use: populated, and page-locked if the capabilities say so.</remarks>
public interface IMemorySource
{
    /// <summary>Short name for logs and errors, for example <c>anonymous</c>.</summary>
    string Name { get; }

    /// <summary>What holds for a region of this source when nothing was given up.</summary>
    PoolCapabilities Capabilities { get; }

    /// <summary>
    /// Refuses a total that cannot be had, before its first region is taken: slab by slab each one would still fit, until the
    /// machine has no memory left. The default refuses nothing.
    /// </summary>
    /// <param name="totalBytes">Bytes about to be taken in several regions.</param>
    /// <exception cref="MemorySourceException">There is not that much.</exception>
    void EnsureAvailable(long totalBytes)
    {
    }

    /// <summary>Takes a region.</summary>
    /// <param name="lengthBytes">Bytes wanted, at least 1. The region may be longer (rounded up to pages).</param>
    /// <param name="progress">Gets the bytes made ready so far, at least once per GiB; may be called from any thread.</param>
    /// <param name="cancellationToken">Stops between pieces; what was taken is given back.</param>
    /// <returns>The region, aligned to 2 MiB, owned by the caller.</returns>
    /// <exception cref="MemorySourceException">
    /// The memory cannot be had. Nothing is kept but <see cref="MemorySourceException.QuarantinedBytes"/>, which could not be given back.
    /// </exception>
    /// <exception cref="PlatformNotSupportedException">The source does not work on this operating system.</exception>
    /// <exception cref="OperationCanceledException">The token fired. Nothing is kept.</exception>
    ValueTask<MemoryRegion> ReserveAsync(long lengthBytes, IProgress<long>? progress = null, CancellationToken cancellationToken = default);
}
