using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda.Gpu;

/// <summary>What a test needs of the driver and the library does not: a caller's own work on a caller's own stream.</summary>
internal static partial class DriverCalls
{
    private const string Library = "libcuda.so.1";

    [LibraryImport(Library)]
    public static partial int cuMemsetD8Async(nint address, byte value, nint count, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoDAsync_v2(nint target, nint source, nint lengthBytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyHtoDAsync_v2(nint device, nint host, nint lengthBytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamSynchronize(nint stream);
}
