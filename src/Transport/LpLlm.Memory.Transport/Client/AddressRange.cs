using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Addresses of this process into which segments are mapped one behind the other. Thread-safe; memory in use is never unmapped.</summary>
internal interface IAddressRange : IDisposable
{
    /// <summary>A range of this operating system.</summary>
    /// <param name="capacityBytes">The most that can be taken at a time; rounded up to 2 MiB.</param>
    /// <exception cref="MemorySourceException">There are not that many addresses.</exception>
    /// <exception cref="PlatformNotSupportedException">Neither Linux nor Windows.</exception>
    static IAddressRange Create(long capacityBytes) =>
        OperatingSystem.IsWindows() ? new WindowsAddressRange(capacityBytes) : new AddressRange(capacityBytes);

    /// <summary>Takes addresses.</summary>
    /// <param name="lengthBytes">A multiple of 2 MiB.</param>
    /// <exception cref="MemorySourceException">It is more than is left of the capacity, or there are not that many addresses.</exception>
    nint Take(long lengthBytes);

    /// <summary>Checks that a segment's file is what the server said, and maps the whole of it at an address that was taken.</summary>
    /// <param name="file">The file.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="lengthBytes">What the server says of its length.</param>
    /// <param name="inode">What the server says of its identity, where descriptors show one.</param>
    /// <param name="endPoint">The server, for messages.</param>
    /// <param name="readOnly">Whether this process can only read it.</param>
    /// <exception cref="PoolProtocolException">It is something else, or not safe to map.</exception>
    /// <exception cref="MemorySourceException">The system refuses. The addresses must be given back with <see cref="Return"/> all the same.</exception>
    void Map(SafeFileHandle file, nint address, long lengthBytes, ulong inode, string endPoint, bool readOnly);

    /// <summary>Unmaps what is there and gives the addresses back.</summary>
    /// <exception cref="MemorySourceException">The system refuses: the addresses are never used again.</exception>
    void Return(nint address, long lengthBytes);
}
