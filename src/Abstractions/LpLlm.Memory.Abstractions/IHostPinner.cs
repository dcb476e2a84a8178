namespace LpLlm.Memory;

/// <summary>How bytes are page-locked: mlock, device registration, or nothing at all.</summary>
/// <remarks>Implementations are thread-safe.</remarks>
public interface IHostPinner
{
    /// <summary>Short name for logs and errors, for example <c>mlock</c>.</summary>
    string Name { get; }

    /// <summary>
    /// What a pinned range gains. A source whose pages have all of it by themselves does not ask: huge pages are page-locked without mlock.
    /// </summary>
    PoolCapabilities Capabilities { get; }

    /// <summary>Page-locks a populated range.</summary>
    /// <param name="address">First byte, page-aligned.</param>
    /// <param name="lengthBytes">Length, a multiple of the page size, at most 1 GiB a call.</param>
    /// <exception cref="MemorySourceException">The system refused; the range is as before.</exception>
    void Pin(nint address, long lengthBytes);

    /// <summary>
    /// Leaves the pinning of a range to its first use by a device, part by part. The default cannot: only a pinner that sees every use can.
    /// </summary>
    /// <param name="address">First byte, page-aligned.</param>
    /// <param name="lengthBytes">Length, a multiple of the page size; any number of GiB.</param>
    /// <returns>Whether it is noted, to be undone by <see cref="Unpin"/> with the same arguments; false when nothing was done.</returns>
    bool TryPinOnUse(nint address, long lengthBytes) => false;

    /// <summary>Undoes one <see cref="Pin"/> or <see cref="TryPinOnUse"/> with the same arguments.</summary>
    /// <param name="address">As given to that call.</param>
    /// <param name="lengthBytes">As given to that call.</param>
    /// <exception cref="MemorySourceException">The system refused; the range counts as still pinned.</exception>
    void Unpin(nint address, long lengthBytes);
}
