using System.Globalization;

namespace LpLlm.Memory;

/// <summary>A CUDA device, used through its primary context: the one that PyTorch and CUDA's runtime use too. Thread-safe; lives as long as the process.</summary>
/// <remarks>
/// From <see cref="IDeviceSet"/>. Calls leave the primary context current on the calling thread, as CUDA's runtime does. What the driver refuses
/// is a <see cref="CudaException"/>.
/// </remarks>
public sealed class CudaDevice : IMemoryDevice
{
    private const int ReadOnlyRegistration = 113; // CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED

    private readonly int _device;

    // PublicationOnly: no lock over the call. Retaining twice only counts twice, and the context stays as long as the process anyway.
    private readonly Lazy<nint> _context;

    internal CudaDevice(CudaRuntime runtime, int ordinal)
    {
        Runtime = runtime;
        Name = string.Create(CultureInfo.InvariantCulture, $"cuda:{ordinal}");
        runtime.Check(runtime.Driver.GetDevice(ordinal, out _device), "cuDeviceGet");
        Span<byte> uuid = stackalloc byte[16];
        runtime.Check(runtime.Driver.GetUuid(_device, uuid), "cuDeviceGetUuid");
        Uuid = new Guid(uuid, bigEndian: true).ToString("D");
        runtime.Check(runtime.Driver.GetAttribute(_device, ReadOnlyRegistration, out var supported), "cuDeviceGetAttribute");
        CanRegisterReadOnly = supported != 0;
        _context = new Lazy<nint>(RetainContext, LazyThreadSafetyMode.PublicationOnly);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Uuid { get; }

    internal CudaRuntime Runtime { get; }

    internal bool CanRegisterReadOnly { get; }

    /// <inheritdoc/>
    public IDeviceBuffer Allocate(long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        MakeCurrent();
        Runtime.Check(Runtime.Driver.Allocate(lengthBytes, out var address), "cuMemAlloc", lengthBytes);
        return new DeviceBuffer(this, address, lengthBytes, isImported: false);
    }

    /// <inheritdoc/>
    public IDeviceBuffer Import(ReadOnlySpan<byte> handle)
    {
        if (handle.Length != MemoryHandle.LengthBytes)
        {
            throw new ArgumentException($"A handle has {MemoryHandle.LengthBytes} bytes, not {handle.Length}.", nameof(handle));
        }

        MakeCurrent();
        Runtime.Check(Runtime.Driver.OpenMemory(handle, out var address), "cuIpcOpenMemHandle");
        var code = Runtime.Driver.GetAddressRange(address, out var start, out var lengthBytes);
        if (code != CudaError.Success)
        {
            _ = Runtime.Driver.CloseMemory(address); // the first failure is the one to tell
            throw CudaError.ToException(Runtime.Driver, code, "cuMemGetAddressRange of imported memory");
        }

        return new DeviceBuffer(this, address, lengthBytes - (address - start), isImported: true);
    }

    /// <inheritdoc/>
    public IDeviceStream CreateStream() => new CudaStream(this);

    internal void MakeCurrent() => Runtime.Check(TryMakeCurrent(), "cuCtxSetCurrent");

    /// <summary>
    /// Makes the context current on this thread. The driver is asked each time, some 20 ns: a note of our own would be wrong as soon as
    /// another library on the thread sets its own context.
    /// </summary>
    internal int TryMakeCurrent()
    {
        var context = _context.Value;
        var code = Runtime.Driver.GetCurrentContext(out var current);
        return code != CudaError.Success || current == context ? code : Runtime.Driver.SetCurrentContext(context);
    }

    private nint RetainContext()
    {
        Runtime.Check(Runtime.Driver.RetainPrimaryContext(_device, out var context), $"cuDevicePrimaryCtxRetain of {Name}");
        return context;
    }
}
