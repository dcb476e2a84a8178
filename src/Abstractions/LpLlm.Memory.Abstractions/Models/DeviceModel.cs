namespace LpLlm.Memory;

/// <summary>Tensors of a model in one buffer of a device, which this object alone owns: no tensor's end takes the others with it.</summary>
/// <remarks>
/// Thread-safe. Disposing gives the buffer back, once; nothing on the device may use it any more. A buffer of the caller's stays the caller's.
/// </remarks>
public sealed class DeviceModel : IDisposable
{
    private readonly DevicePacking _packing;
    private readonly nint _address;
    private readonly bool _ownsBuffer;
    private Dictionary<string, DeviceTensor>? _tensors;

    internal DeviceModel(string model, IMemoryDevice device, IDeviceBuffer buffer, bool ownsBuffer, DevicePacking packing)
    {
        _packing = packing;
        _address = buffer.Address;
        _ownsBuffer = ownsBuffer;
        Model = model;
        Device = device;
        Buffer = buffer;
    }

    /// <summary>The model's path under the storage path.</summary>
    public string Model { get; }

    /// <summary>The device.</summary>
    public IMemoryDevice Device { get; }

    /// <summary>The memory. Unless the caller gave it, it goes with this object and is not disposed by others.</summary>
    public IDeviceBuffer Buffer { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, DeviceTensor> Tensors => _tensors ??= Describe();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ownsBuffer)
        {
            Buffer.Dispose();
        }
    }

    /// <summary>Not before somebody asks: for a small model it would add some percent to its copy. Two threads may, and give the same.</summary>
    private Dictionary<string, DeviceTensor> Describe() => _packing.Tensors.ToDictionary(
        tensor => tensor.Name, tensor => new DeviceTensor(tensor, _address + (nint)_packing.OffsetOf(tensor)), StringComparer.Ordinal);
}
