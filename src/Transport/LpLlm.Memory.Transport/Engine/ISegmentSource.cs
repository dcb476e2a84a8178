using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>Where the engine's segments come from: memory of this host, or a simulation. Thread-safe.</summary>
internal interface ISegmentSource
{
    /// <summary>Makes a segment: zeroed, populated, page-locked, sealed against any change of length, with seals that are not final. Takes 50 ms to seconds a GiB.</summary>
    /// <param name="lengthBytes">A multiple of 2 MiB.</param>
    /// <param name="cancellationToken">Ends the making; nothing is kept.</param>
    /// <exception cref="MemorySourceException">The memory cannot be had; nothing is kept but <see cref="MemorySourceException.QuarantinedBytes"/>.</exception>
    ValueTask<Segment> CreateAsync(long lengthBytes, CancellationToken cancellationToken);

    /// <summary>Refuses what can never be had, whatever is given back meanwhile. Says nothing of what is free now.</summary>
    /// <exception cref="MemorySourceException">A limit of this process is lower.</exception>
    void EnsureAllowed(long totalBytes)
    {
    }

    /// <summary>Tells memory from all other of this host, by its descriptor alone: nothing is mapped.</summary>
    /// <exception cref="MemorySourceException">The descriptor leads to no file.</exception>
    ulong Identify(SafeFileHandle file);

    /// <summary>
    /// Makes a segment of memory that a client has held since before this server started: checks seals, kind and length, then maps and
    /// page-locks it. Its content stays.
    /// </summary>
    /// <param name="file">The client's descriptor; the segment takes it over if the call succeeds.</param>
    /// <param name="lengthBytes">What the client says; a multiple of 2 MiB.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="PoolFaultException">It is not a sealed memory file of that length.</exception>
    /// <exception cref="MemorySourceException">It cannot be mapped or page-locked.</exception>
    ValueTask<Segment> AdoptAsync(SafeFileHandle file, long lengthBytes, CancellationToken cancellationToken);
}
