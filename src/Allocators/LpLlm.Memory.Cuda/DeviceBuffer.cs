namespace LpLlm.Memory;

/// <summary>Memory of a CUDA device, from <see cref="CudaDevice.Allocate"/> or <see cref="CudaDevice.Import"/>. Thread-safe.</summary>
/// <remarks>Nothing is freed by the finalizer: a buffer that is dropped keeps its memory.</remarks>
public sealed class DeviceBuffer : IDeviceBuffer
{
    private readonly CudaDevice _device;
    private readonly nint _address;
    private readonly bool _isImported;
    private int _disposed;

    internal DeviceBuffer(CudaDevice device, nint address, long lengthBytes, bool isImported)
    {
        _device = device;
        _address = address;
        _isImported = isImported;
        LengthBytes = lengthBytes;
    }

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
            return _address;
        }
    }

    /// <inheritdoc/>
    public long LengthBytes { get; }

    /// <inheritdoc/>
    /// <remarks>
    /// The driver shares whole allocations, and packs small buffers into one of 2 MiB: the other process can reach its neighbours too. Where that
    /// matters, allocate multiples of 2 MiB.
    /// </remarks>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    /// <exception cref="CudaException">The driver refused.</exception>
    public byte[] Export()
    {
        var address = Address;
        if (_isImported)
        {
            throw new InvalidOperationException("Imported memory cannot be exported again: ask the process that allocated it.");
        }

        var handle = new byte[MemoryHandle.LengthBytes];
        _device.MakeCurrent();
        _device.Runtime.Check(_device.Runtime.Driver.ExportMemory(address, handle), "cuIpcGetMemHandle");
        return handle;
    }

    /// <summary>Frees the memory, or closes what was imported; the second time is a no-op. Work on it must have completed.</summary>
    /// <exception cref="CudaException">The driver refused; the memory is kept.</exception>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _device.MakeCurrent();
        var driver = _device.Runtime.Driver;
        _device.Runtime.Check(
            _isImported ? driver.CloseMemory(_address) : driver.Free(_address), _isImported ? "cuIpcCloseMemHandle" : "cuMemFree", LengthBytes);
    }
}
