namespace LpLlm.Memory;

/// <summary>Tensors of a model in one buffer of a device, which this object alone owns: no tensor's end takes the others with it.</summary>
/// <remarks>
/// Thread-safe. Disposing gives the buffer back, once; nothing on the device may use it any more. A buffer of the caller's stays the caller's.
/// </remarks>
public sealed class DeviceModel : IDisposable
{
    private readonly bool _ownsBuffer;

    internal DeviceModel(string model, IMemoryDevice device, IDeviceBuffer buffer, bool ownsBuffer, IEnumerable<DeviceTensor> tensors)
    {
        _ownsBuffer = ownsBuffer;
        Model = model;
        Device = device;
        Buffer = buffer;
        Tensors = tensors.ToDictionary(tensor => tensor.Info.Name, StringComparer.Ordinal);
    }

    /// <summary>The model's path under the storage path.</summary>
    public string Model { get; }

    /// <summary>The device.</summary>
    public IMemoryDevice Device { get; }

    /// <summary>The memory. Unless the caller gave it, it goes with this object and is not disposed by others.</summary>
    public IDeviceBuffer Buffer { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, DeviceTensor> Tensors { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ownsBuffer)
        {
            Buffer.Dispose();
        }
    }
}
