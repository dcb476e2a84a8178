namespace LpLlm.Memory;

/// <summary>Memory of a device: allocated here, or imported. Disposing gives it back; the second time is a no-op. Work on it must have completed.</summary>
public interface IDeviceBuffer : IDisposable
{
    /// <summary>First byte, in the device's address space.</summary>
    nint Address { get; }

    /// <summary>Length in bytes.</summary>
    long LengthBytes { get; }

    /// <summary>The 64 bytes by which another process of this host can <see cref="IMemoryDevice.Import"/> it.</summary>
    /// <exception cref="InvalidOperationException">It was imported itself.</exception>
    byte[] Export();
}
