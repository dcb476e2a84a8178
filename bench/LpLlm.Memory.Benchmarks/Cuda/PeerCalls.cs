using System.Runtime.InteropServices;
using System.Text;
using LpLlm.Memory.Cuda;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>What the peers call: the driver itself.</summary>
internal static unsafe partial class PeerCalls
{
    private const string Library = "libcuda.so.1";
    private const uint Portable = 1;

    /// <summary>Memory as the driver makes it, page-locked and registered.</summary>
    public static nint HostAllocate(long lengthBytes)
    {
        CudaRuntime.Shared.Devices[0].MakeCurrent();
        Check(cuMemHostAlloc(out var address, (nint)lengthBytes, Portable));
        return address;
    }

    public static void HostFree(nint address)
    {
        CudaRuntime.Shared.Devices[0].MakeCurrent();
        Check(cuMemFreeHost(address));
    }

    public static string NameOf(CudaDevice device)
    {
        var name = stackalloc byte[128];
        var ordinal = int.Parse(device.Name.AsSpan(5), System.Globalization.CultureInfo.InvariantCulture);
        Check(cuDeviceGetName(name, 128, ordinal));
        return Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
    }

    private static void Check(int code) => CudaRuntime.Shared.Check(code, "the peer's call");

    [LibraryImport(Library)]
    private static partial int cuMemHostAlloc(out nint address, nint lengthBytes, uint flags);

    [LibraryImport(Library)]
    private static partial int cuMemFreeHost(nint address);

    [LibraryImport(Library)]
    private static partial int cuDeviceGetName(byte* name, int length, int device);
}
