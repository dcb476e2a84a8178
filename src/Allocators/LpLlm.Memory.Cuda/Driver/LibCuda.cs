using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda;

/// <summary>The driver that is installed.</summary>
/// <exception cref="DllNotFoundException">From each member: there is none.</exception>
internal sealed unsafe class LibCuda : ICudaDriver
{
    private const uint StreamNonBlocking = 1; // a stream that does not wait for the default stream, nor it for this one
    private const uint EventWithoutTiming = 2; // half the cost, and nobody asks for the time
    private const uint PeerAccessWhenNeeded = 1; // the one flag that opening a handle takes

    public int Initialize() => LibCudaImports.cuInit(0);

    public int GetVersion(out int version) => LibCudaImports.cuDriverGetVersion(out version);

    public int GetDeviceCount(out int count) => LibCudaImports.cuDeviceGetCount(out count);

    public int GetDevice(int ordinal, out int device) => LibCudaImports.cuDeviceGet(out device, ordinal);

    public int GetUuid(int device, Span<byte> uuid)
    {
        fixed (byte* bytes = uuid)
        {
            return LibCudaImports.cuDeviceGetUuid_v2(bytes, device);
        }
    }

    public int GetAttribute(int device, int attribute, out int value) => LibCudaImports.cuDeviceGetAttribute(out value, attribute, device);

    public int RetainPrimaryContext(int device, out nint context) => LibCudaImports.cuDevicePrimaryCtxRetain(out context, device);

    public int GetCurrentContext(out nint context) => LibCudaImports.cuCtxGetCurrent(out context);

    public int SetCurrentContext(nint context) => LibCudaImports.cuCtxSetCurrent(context);

    public int CreateStream(out nint stream) => LibCudaImports.cuStreamCreate(out stream, StreamNonBlocking);

    public int DestroyStream(nint stream) => LibCudaImports.cuStreamDestroy_v2(stream);

    public int WaitForEvent(nint stream, nint eventHandle) => LibCudaImports.cuStreamWaitEvent(stream, eventHandle, 0);

    public int CreateEvent(out nint eventHandle) => LibCudaImports.cuEventCreate(out eventHandle, EventWithoutTiming);

    public int DestroyEvent(nint eventHandle) => LibCudaImports.cuEventDestroy_v2(eventHandle);

    public int RecordEvent(nint eventHandle, nint stream) => LibCudaImports.cuEventRecord(eventHandle, stream);

    public int QueryEvent(nint eventHandle) => LibCudaImports.cuEventQuery(eventHandle);

    public int Allocate(long lengthBytes, out nint address) => LibCudaImports.cuMemAlloc_v2(out address, (nint)lengthBytes);

    public int Free(nint address) => LibCudaImports.cuMemFree_v2(address);

    public int RegisterHost(nint address, long lengthBytes, uint flags) =>
        LibCudaImports.cuMemHostRegister_v2(address, (nint)lengthBytes, flags);

    public int UnregisterHost(nint address) => LibCudaImports.cuMemHostUnregister(address);

    public int CopyToDevice(nint device, nint host, long lengthBytes, nint stream) =>
        LibCudaImports.cuMemcpyHtoDAsync_v2(device, host, (nint)lengthBytes, stream);

    public int CopyToHost(nint host, nint device, long lengthBytes, nint stream) =>
        LibCudaImports.cuMemcpyDtoHAsync_v2(host, device, (nint)lengthBytes, stream);

    public int CopyRows(in RowCopy copy, nint stream) => LibCudaImports.cuMemcpy2DAsync_v2(copy, stream);

    public int ExportMemory(nint address, Span<byte> handle)
    {
        var code = LibCudaImports.cuIpcGetMemHandle(out var value, address);
        ((ReadOnlySpan<byte>)value).CopyTo(handle);
        return code;
    }

    public int OpenMemory(ReadOnlySpan<byte> handle, out nint address)
    {
        MemoryHandle value = default;
        handle.CopyTo(value);
        return LibCudaImports.cuIpcOpenMemHandle_v2(out address, value, PeerAccessWhenNeeded);
    }

    public int CloseMemory(nint address) => LibCudaImports.cuIpcCloseMemHandle(address);

    public int GetAddressRange(nint address, out nint start, out long lengthBytes)
    {
        var code = LibCudaImports.cuMemGetAddressRange_v2(out start, out var length, address);
        lengthBytes = length;
        return code;
    }

    public string? GetErrorName(int code) =>
        LibCudaImports.cuGetErrorName(code, out var text) == CudaError.Success ? Marshal.PtrToStringUTF8(text) : null;

    public string? GetErrorText(int code) =>
        LibCudaImports.cuGetErrorString(code, out var text) == CudaError.Success ? Marshal.PtrToStringUTF8(text) : null;
}
