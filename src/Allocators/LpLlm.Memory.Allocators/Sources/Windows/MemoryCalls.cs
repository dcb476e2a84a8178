using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources.Windows;

/// <summary>The Windows calls of local and shared memory; bound on first use, never at load.</summary>
[SupportedOSPlatform("windows")]
internal static partial class MemoryCalls
{
    public const nint ThisProcess = -1;
    public const nint PageFile = -1;
    public const uint Commit = 0x1000;
    public const uint Reserve = 0x2000;
    public const uint Release = 0x8000;
    public const uint ReadWrite = 4;
    public const uint Committed = 0x8000000;
    public const uint MapWrite = 2;
    public const uint MapRead = 4;
    public const int ObjectName = 1;
    public const int ObjectKind = 2;
    public const int AlreadyExists = 183;
    public const int WorkingSetQuota = 1453;

    /// <summary>What the last call failed with.</summary>
    public static MemorySourceException Failure(string operation, long lengthBytes, string remedy)
    {
        var code = Marshal.GetLastPInvokeError();
        return new MemorySourceException(operation, code, $"error {code}", lengthBytes, limitBytes: null, remedy);
    }

    [LibraryImport("kernel32", EntryPoint = "VirtualAlloc", SetLastError = true)]
    public static partial nint Allocate(nint address, nint length, uint kind, uint protection);

    [LibraryImport("kernel32", EntryPoint = "VirtualFree", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Free(nint address, nint length, uint kind);

    [LibraryImport("kernel32", EntryPoint = "VirtualLock", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Lock(nint address, nint length);

    [LibraryImport("kernel32", EntryPoint = "VirtualUnlock", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Unlock(nint address, nint length);

    [LibraryImport("kernel32", EntryPoint = "GetProcessWorkingSetSizeEx", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetWorkingSet(nint process, out nuint least, out nuint most, out uint flags);

    [LibraryImport("kernel32", EntryPoint = "SetProcessWorkingSetSizeEx", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool SetWorkingSet(nint process, nuint least, nuint most, uint flags);

    [LibraryImport("kernel32", EntryPoint = "CreateFileMappingW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial SafeFileHandle CreateSection(nint file, nint security, uint protection, uint lengthHigh, uint lengthLow, string name);

    [LibraryImport("kernel32", EntryPoint = "MapViewOfFileEx", SetLastError = true)]
    public static partial nint Map(SafeFileHandle section, uint access, uint offsetHigh, uint offsetLow, nint length, nint address);

    [LibraryImport("kernel32", EntryPoint = "UnmapViewOfFile", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Unmap(nint address);

    [LibraryImport("kernel32", EntryPoint = "DuplicateHandle", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Duplicate(
        nint fromProcess, SafeFileHandle source, nint toProcess, out SafeFileHandle copy, uint access, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint options);

    [LibraryImport("kernel32", EntryPoint = "GlobalMemoryStatusEx", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetStatus(ref MemoryStatus status);

    [LibraryImport("ntdll", EntryPoint = "NtQueryObject")]
    public static unsafe partial int Query(SafeFileHandle handle, int kind, byte* buffer, int length, out int needed);

    /// <summary>MEMORYSTATUSEX.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct MemoryStatus
    {
        public uint Length;
        public uint LoadPercent;
        public ulong TotalPhysical;
        public ulong AvailablePhysical;
        public ulong TotalCommit;
        public ulong AvailableCommit;
        public ulong TotalVirtual;
        public ulong AvailableVirtual;
        public ulong AvailableExtended;
    }
}
