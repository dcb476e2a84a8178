namespace LpLlm.Memory;

/// <summary>A device with memory of its own, which copies from and to the host's. Thread-safe.</summary>
/// <remarks>What the driver refuses is an exception of the driver's own kind (<c>CudaException</c>), always a <see cref="PinnedMemoryException"/>.</remarks>
public interface IMemoryDevice
{
    /// <summary>Its name in configuration, for example <c>cuda:0</c>.</summary>
    string Name { get; }

    /// <summary>16 bytes in lower-case hexadecimal digits, 8-4-4-4-12, without a prefix.</summary>
    string Uuid { get; }

    /// <summary>Takes memory of the device; its bytes are undefined.</summary>
    /// <param name="lengthBytes">At least 1.</param>
    /// <exception cref="PinnedMemoryException">The device has no room.</exception>
    IDeviceBuffer Allocate(long lengthBytes);

    /// <summary>Opens memory that another process of this host allocated on this device and exported.</summary>
    /// <param name="handle">What <see cref="IDeviceBuffer.Export"/> gave there: 64 bytes.</param>
    /// <returns>The whole allocation, whatever part of it was exported. Disposing closes it here; the other process still owns it.</returns>
    /// <exception cref="ArgumentException">It is not 64 bytes long.</exception>
    /// <exception cref="PinnedMemoryException">It leads to no live memory of this device.</exception>
    IDeviceBuffer Import(ReadOnlySpan<byte> handle);

    /// <summary>Makes a stream of copies: those of one stream run in order, those of several at the same time.</summary>
    /// <exception cref="PinnedMemoryException">The device refused.</exception>
    IDeviceStream CreateStream();
}
