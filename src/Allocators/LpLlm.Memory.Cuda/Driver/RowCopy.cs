using System.Runtime.InteropServices;

namespace LpLlm.Memory.Cuda;

/// <summary>CUDA_MEMCPY2D of the driver's second ABI.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RowCopy
{
    public const int Host = 1;
    public const int Device = 2;

    public nint SourceX;
    public nint SourceY;
    public int SourceKind;
    public nint SourceHost;
    public nint SourceDevice;
    public nint SourceArray;
    public nint SourcePitch;
    public nint TargetX;
    public nint TargetY;
    public int TargetKind;
    public nint TargetHost;
    public nint TargetDevice;
    public nint TargetArray;
    public nint TargetPitch;
    public nint RowBytes;
    public nint RowCount;

    public static RowCopy ToDevice(nint host, long hostPitch, nint device, long devicePitch, long rowBytes, long rowCount) => new()
    {
        SourceKind = Host,
        SourceHost = host,
        SourcePitch = (nint)hostPitch,
        TargetKind = Device,
        TargetDevice = device,
        TargetPitch = (nint)devicePitch,
        RowBytes = (nint)rowBytes,
        RowCount = (nint)rowCount,
    };

    public static RowCopy ToHost(nint device, long devicePitch, nint host, long hostPitch, long rowBytes, long rowCount) => new()
    {
        SourceKind = Device,
        SourceDevice = device,
        SourcePitch = (nint)devicePitch,
        TargetKind = Host,
        TargetHost = host,
        TargetPitch = (nint)hostPitch,
        RowBytes = (nint)rowBytes,
        RowCount = (nint)rowCount,
    };
}
