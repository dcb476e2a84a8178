using LpLlm.Memory.Sources.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>Memory that is mapped into this process and not populated: private, or of a file that other processes can map, too.</summary>
/// <param name="address">The first byte.</param>
/// <param name="lengthBytes">A multiple of the page size.</param>
/// <param name="pages">What backs it.</param>
/// <param name="file">The file whose pages these are; null for private memory.</param>
internal abstract class HostMapping(nint address, long lengthBytes, PageChoice pages, SafeFileHandle? file)
{
    public nint Address => address;

    public long LengthBytes => lengthBytes;

    public PageChoice Pages => pages;

    /// <summary>The file whose pages these are; null for private memory.</summary>
    public SafeFileHandle? File => file;

    /// <param name="lengthBytes">A multiple of the page size.</param>
    /// <param name="pages">What backs it.</param>
    /// <param name="shared">Whether another process is to be able to map it.</param>
    /// <exception cref="MemorySourceException">The system refuses.</exception>
    public static HostMapping Create(long lengthBytes, PageChoice pages, bool shared) =>
        OperatingSystem.IsWindows() ? WindowsMapping.Make(lengthBytes, pages, shared) : LinuxMapping.Make(lengthBytes, pages, shared);

    /// <summary>Maps the whole of a file that exists; its bytes stay as they are. The mapping owns the file if the call succeeds.</summary>
    /// <param name="file">One that no other holder can cut short.</param>
    /// <param name="lengthBytes">Its length, a multiple of the page size.</param>
    /// <param name="pages">What backs it.</param>
    /// <exception cref="MemorySourceException">The system refuses.</exception>
    public static HostMapping Open(SafeFileHandle file, long lengthBytes, PageChoice pages) =>
        OperatingSystem.IsWindows() ? WindowsMapping.Over(file, lengthBytes, pages) : LinuxMapping.Over(file, lengthBytes, pages);

    /// <summary>Makes final, before other processes get the file, that nobody can change its length.</summary>
    /// <exception cref="MemorySourceException">The system refuses.</exception>
    public abstract void Seal();

    /// <summary>Unmaps the range; the file goes with its last holder.</summary>
    /// <exception cref="MemorySourceException">The system refuses: the mapping stays until the process ends.</exception>
    public abstract void Destroy();
}
