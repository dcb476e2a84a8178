namespace LpLlm.Memory;

/// <summary>How an open model comes into device memory. Thread-safe.</summary>
internal interface IModelCopier
{
    /// <summary>Copies ranges of the model, and returns when the device is done with them, also after a failure.</summary>
    /// <exception cref="PinnedMemoryException">The device or the server refused.</exception>
    /// <exception cref="Devices.DeviceCopyLostException">The device may still be at it: neither the model nor the buffer may be given back.</exception>
    Task CopyAsync(IReadOnlyList<ModelRange> ranges, IMemoryDevice device, IDeviceBuffer buffer, CancellationToken cancellationToken);
}
