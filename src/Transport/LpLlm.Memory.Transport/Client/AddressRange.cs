using LpLlm.Memory.Transport.Windows;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// Addresses of this process into which segments are mapped one behind the other. Thread-safe; no lock is held across a system call, and memory in use is
/// never unmapped.
/// </summary>
/// <param name="capacityBytes">The most that can be taken at a time; rounded up to 2 MiB.</param>
internal abstract class AddressRange(long capacityBytes) : IDisposable
{
    private long _takenBytes;

    protected long CapacityBytes { get; } = PoolProtocol.RoundUp(capacityBytes);

    protected Lock Gate { get; } = new();

    /// <summary>Nothing more is given out. Guarded by the gate.</summary>
    protected bool IsDisposed { get; set; }

    /// <summary>A range of this operating system.</summary>
    /// <param name="capacityBytes">The most that can be taken at a time; rounded up to 2 MiB.</param>
    /// <exception cref="MemorySourceException">There are not that many addresses.</exception>
    /// <exception cref="PlatformNotSupportedException">Neither Linux nor Windows.</exception>
    public static AddressRange Create(long capacityBytes) =>
        OperatingSystem.IsWindows() ? new WindowsAddressRange(capacityBytes) : new LinuxAddressRange(capacityBytes);

    /// <summary>Takes addresses.</summary>
    /// <param name="lengthBytes">A multiple of 2 MiB.</param>
    /// <exception cref="MemorySourceException">It is more than is left of the capacity, or there are not that many addresses.</exception>
    public nint Take(long lengthBytes)
    {
        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            if (lengthBytes > CapacityBytes - _takenBytes)
            {
                throw new MemorySourceException(
                    "taking addresses", 0, "CapacityBytes", lengthBytes, CapacityBytes, "Give memory back first, or raise CapacityBytes.");
            }

            _takenBytes += lengthBytes;
            if (TakeFreeUnsynchronized(lengthBytes) is { } address)
            {
                return address;
            }
        }

        try
        {
            return Reserve(lengthBytes);
        }
        catch
        {
            lock (Gate)
            {
                CountReturnedUnsynchronized(lengthBytes);
            }

            throw;
        }
    }

    /// <summary>Checks that a segment's file is what the server said, and maps the whole of it at an address that was taken.</summary>
    /// <param name="file">The file.</param>
    /// <param name="address">The first byte.</param>
    /// <param name="lengthBytes">What the server says of its length.</param>
    /// <param name="inode">What the server says of its identity, where descriptors show one.</param>
    /// <param name="endPoint">The server, for messages.</param>
    /// <param name="readOnly">Whether this process can only read it.</param>
    /// <exception cref="PoolProtocolException">It is something else, or not safe to map.</exception>
    /// <exception cref="MemorySourceException">The system refuses. The addresses must be given back with <see cref="Return"/> all the same.</exception>
    public abstract void Map(SafeFileHandle file, nint address, long lengthBytes, ulong inode, string endPoint, bool readOnly);

    /// <summary>Unmaps what is there and gives the addresses back.</summary>
    /// <exception cref="MemorySourceException">The system refuses: the addresses are never used again.</exception>
    public abstract void Return(nint address, long lengthBytes);

    /// <summary>Gives nothing out any more; what is in use stays until it is returned.</summary>
    public abstract void Dispose();

    /// <summary>Addresses that are reserved already, and free; null where there are none of that length.</summary>
    protected virtual nint? TakeFreeUnsynchronized(long lengthBytes) => null;

    /// <summary>Reserves addresses that begin at a multiple of 2 MiB.</summary>
    /// <exception cref="MemorySourceException">There are not that many.</exception>
    protected abstract nint Reserve(long lengthBytes);

    protected void CountReturnedUnsynchronized(long lengthBytes) => _takenBytes -= lengthBytes;
}
