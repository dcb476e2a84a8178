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

    /// <summary>Registers resident memory, as whoever calls the driver himself does.</summary>
    public static void Register(nint address, long lengthBytes)
    {
        CudaRuntime.Shared.Devices[0].MakeCurrent();
        Check(cuMemHostRegister_v2(address, (nint)lengthBytes, Portable));
    }

    public static void Unregister(nint address)
    {
        CudaRuntime.Shared.Devices[0].MakeCurrent();
        Check(cuMemHostUnregister(address));
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
    private static partial int cuMemHostRegister_v2(nint address, nint lengthBytes, uint flags);

    [LibraryImport(Library)]
    private static partial int cuMemHostUnregister(nint address);

    [LibraryImport(Library)]
    private static partial int cuDeviceGetName(byte* name, int length, int device);
}
