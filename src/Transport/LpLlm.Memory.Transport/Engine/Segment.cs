using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>One piece of shareable memory as the server holds it. Who may have it is the engine's affair.</summary>
/// <param name="lengthBytes">A multiple of 2 MiB.</param>
/// <param name="isPageLocked">Whether the server keeps it resident.</param>
internal abstract class Segment(long lengthBytes, bool isPageLocked)
{
    public long LengthBytes { get; } = lengthBytes;

    public bool IsPageLocked { get; } = isPageLocked;

    /// <summary>The first byte in this process.</summary>
    public abstract nint Address { get; }

    /// <summary>The memory file; null in simulations.</summary>
    public abstract SafeFileHandle? File { get; }

    /// <summary>Identifies the memory file on this host.</summary>
    public abstract ulong Inode { get; }

    /// <summary>A path by which a process of the same user can open it while the server lives and holds it.</summary>
    public abstract string Path { get; }

    /// <summary>
    /// Makes the devices' driver know the memory, off the caller's thread, unless it does: only from such memory does a device copy at its link's speed.
    /// It is undone when the segment is discarded.
    /// </summary>
    /// <exception cref="MemorySourceException">The driver refuses.</exception>
    public virtual Task PrepareForDevicesAsync() => Task.CompletedTask;

    /// <summary>
    /// Makes its seals final, before its descriptor leaves the server's hands. The first call decides; further ones do nothing. Thread-safe, and quick.
    /// </summary>
    /// <param name="readOnly">Nobody can write to it any more but through mappings that exist now: the server's own.</param>
    /// <exception cref="MemorySourceException">The system refuses: it knows no memory that is read-only for others (before Linux 5.1).</exception>
    public abstract void Seal(bool readOnly);

    /// <summary>Overwrites all bytes with zeros, off the caller's thread.</summary>
    /// <exception cref="MemorySourceException">A client has taken pages out of it: it is to be discarded, for filling it again would take memory.</exception>
    public abstract ValueTask ClearAsync();

    /// <summary>
    /// Gives the memory up, off the caller's thread.
    /// </summary>
    /// <param name="freesPages">
    /// Frees the pages now, even under a process that still maps them and gave them back: it would read zeros. False leaves them to their last
    /// holder, which may be alive and in the right. What is sealed read-only must be left: the system does not free its pages.
    /// </param>
    public abstract ValueTask DiscardAsync(bool freesPages);
}
