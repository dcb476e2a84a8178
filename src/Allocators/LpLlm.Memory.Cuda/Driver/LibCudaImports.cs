using System.Reflection;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda;

/// <summary>
/// The entry points, of the second or later ABI where there is one: the first has 32-bit addresses. All are in drivers from 470 (CUDA 11.4) on.
/// The library is loaded at the first call.
/// </summary>
internal static unsafe partial class LibCudaImports
{
    private const string Library = "cuda";

    static LibCudaImports() => NativeLibrary.SetDllImportResolver(typeof(LibCudaImports).Assembly, Resolve);

    public static string FileName => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    [LibraryImport(Library)]
    public static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    public static partial int cuDriverGetVersion(out int version);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetCount(out int count);

    [LibraryImport(Library)]
    public static partial int cuDeviceGet(out int device, int ordinal);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetUuid_v2(byte* uuid, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetAttribute(out int value, int attribute, int device);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRetain(out nint context, int device);

    [LibraryImport(Library)]
    public static partial int cuCtxGetCurrent(out nint context);

    [LibraryImport(Library)]
    public static partial int cuCtxSetCurrent(nint context);

    [LibraryImport(Library)]
    public static partial int cuStreamCreate(out nint stream, uint flags);

    [LibraryImport(Library)]
    public static partial int cuStreamDestroy_v2(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamWaitEvent(nint stream, nint eventHandle, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventCreate(out nint eventHandle, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventDestroy_v2(nint eventHandle);

    [LibraryImport(Library)]
    public static partial int cuEventRecord(nint eventHandle, nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventQuery(nint eventHandle);

    [LibraryImport(Library)]
    public static partial int cuMemAlloc_v2(out nint address, nint lengthBytes);

    [LibraryImport(Library)]
    public static partial int cuMemFree_v2(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemHostRegister_v2(nint address, nint lengthBytes, uint flags);

    [LibraryImport(Library)]
    public static partial int cuMemHostUnregister(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemcpyHtoDAsync_v2(nint device, nint host, nint lengthBytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoHAsync_v2(nint host, nint device, nint lengthBytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpy2DAsync_v2(in RowCopy copy, nint stream);

    [LibraryImport(Library)]
    public static partial int cuIpcGetMemHandle(out MemoryHandle handle, nint address);

    [LibraryImport(Library)]
    public static partial int cuIpcOpenMemHandle_v2(out nint address, MemoryHandle handle, uint flags);

    [LibraryImport(Library)]
    public static partial int cuIpcCloseMemHandle(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemGetAddressRange_v2(out nint start, out nint lengthBytes, nint address);

    [LibraryImport(Library)]
    public static partial int cuGetErrorName(int code, out nint text);

    [LibraryImport(Library)]
    public static partial int cuGetErrorString(int code, out nint text);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) =>
        name == Library ? NativeLibrary.Load(FileName) : 0;
}
