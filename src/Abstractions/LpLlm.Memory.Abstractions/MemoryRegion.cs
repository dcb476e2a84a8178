namespace LpLlm.Memory;

/// <summary>A contiguous range of memory of one source. Disposing gives it back; the second time is a no-op.</summary>
public abstract class MemoryRegion : IDisposable
{
    private int _disposed;

    /// <summary>Describes a range that is ready for use.</summary>
    /// <param name="address">First byte, aligned to 2 MiB.</param>
    /// <param name="lengthBytes">Length, at least 1.</param>
    /// <param name="capabilities">What holds for the range.</param>
    protected MemoryRegion(nint address, long lengthBytes, PoolCapabilities capabilities)
    {
        ArgumentOutOfRangeException.ThrowIfZero(address);
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        Address = address;
        LengthBytes = lengthBytes;
        Capabilities = capabilities;
    }

    /// <summary>First byte, aligned to 2 MiB.</summary>
    public nint Address { get; }

    /// <summary>Length in bytes.</summary>
    public long LengthBytes { get; }

    /// <summary>What holds for this range.</summary>
    public PoolCapabilities Capabilities { get; }

    /// <summary>Gives the range back. Nothing may touch it afterwards.</summary>
    /// <exception cref="MemorySourceException">
    /// The range could not be unpinned. It stays mapped, because a device may still use it; whoever counted it goes on counting it.
    /// </exception>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            GC.SuppressFinalize(this);
            Release();
        }
    }

    /// <summary>Gives the range back to the source; called once.</summary>
    /// <exception cref="MemorySourceException">As for <see cref="Dispose"/>.</exception>
    protected abstract void Release();
}
