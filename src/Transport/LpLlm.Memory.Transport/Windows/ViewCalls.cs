using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Windows;

/// <summary>The Windows calls of reserving addresses and of mapping sections there.</summary>
[SupportedOSPlatform("windows")]
internal static partial class ViewCalls
{
    public const uint Reserve = 0x2000;
    public const uint TopDown = 0x100000;
    public const uint Release = 0x8000;
    public const uint NoAccess = 1;
    public const uint Write = 2;
    public const uint Read = 4;

    [LibraryImport("kernel32", EntryPoint = "VirtualAlloc", SetLastError = true)]
    public static partial nint Allocate(nint address, nint length, uint kind, uint protection);

    [LibraryImport("kernel32", EntryPoint = "VirtualFree", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Free(nint address, nint length, uint kind);

    [LibraryImport("kernel32", EntryPoint = "MapViewOfFileEx", SetLastError = true)]
    public static partial nint Map(SafeFileHandle section, uint access, uint offsetHigh, uint offsetLow, nint length, nint address);

    [LibraryImport("kernel32", EntryPoint = "UnmapViewOfFile", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Unmap(nint address);
}
