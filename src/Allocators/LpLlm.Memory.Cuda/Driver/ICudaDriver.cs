namespace LpLlm.Memory.Cuda;

/// <summary>
/// The driver's calls that are used here, one to one: each returns the driver's code, 0 for success. The seam behind which tests put a
/// driver that is late, reorders and fails, because there is no GPU where most tests run.
/// </summary>
internal interface ICudaDriver
{
    int Initialize();

    int GetVersion(out int version);

    int GetDeviceCount(out int count);

    int GetDevice(int ordinal, out int device);

    int GetUuid(int device, Span<byte> uuid);

    int GetAttribute(int device, int attribute, out int value);

    int RetainPrimaryContext(int device, out nint context);

    int GetCurrentContext(out nint context);

    int SetCurrentContext(nint context);

    int CreateStream(out nint stream);

    int DestroyStream(nint stream);

    int WaitForEvent(nint stream, nint eventHandle);

    int CreateEvent(out nint eventHandle);

    int DestroyEvent(nint eventHandle);

    int RecordEvent(nint eventHandle, nint stream);

    int QueryEvent(nint eventHandle);

    int Allocate(long lengthBytes, out nint address);

    int Free(nint address);

    int RegisterHost(nint address, long lengthBytes, uint flags);

    int UnregisterHost(nint address);

    int CopyToDevice(nint device, nint host, long lengthBytes, nint stream);

    int CopyToHost(nint host, nint device, long lengthBytes, nint stream);

    int CopyRows(in RowCopy copy, nint stream);

    int ExportMemory(nint address, Span<byte> handle);

    int OpenMemory(ReadOnlySpan<byte> handle, out nint address);

    int CloseMemory(nint address);

    int GetAddressRange(nint address, out nint start, out long lengthBytes);

    /// <summary>The name of a code, for example <c>CUDA_ERROR_OUT_OF_MEMORY</c>; null for one that the driver does not know.</summary>
    string? GetErrorName(int code);

    /// <summary>What a code means, in the driver's words.</summary>
    string? GetErrorText(int code);
}
