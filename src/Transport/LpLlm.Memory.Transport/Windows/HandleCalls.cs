using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Windows;

/// <summary>The Windows calls about processes and handles.</summary>
[SupportedOSPlatform("windows")]
internal static partial class HandleCalls
{
    public const nint ThisProcess = -1;
    public const uint MayDuplicateHandles = 0x40;
    public const uint MayQuery = 0x1000;
    public const uint MayWait = 0x100000;
    public const uint CloseSource = 1;
    public const uint SameAccess = 2;
    public const uint TokenQuery = 8;
    public const int AccessDenied = 5;

    /// <summary>What the last call failed with.</summary>
    public static IOException Failure(string what)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"Windows cannot {what}: {Marshal.GetPInvokeErrorMessage(error)} (error {error}).");
    }

    [LibraryImport("kernel32", EntryPoint = "OpenProcess", SetLastError = true)]
    public static partial SafeProcessHandle OpenProcess(uint access, [MarshalAs(UnmanagedType.Bool)] bool inherit, int processId);

    [LibraryImport("kernel32", EntryPoint = "GetProcessTimes", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool GetTimes(SafeProcessHandle process, out long created, out long exited, out long kernel, out long user);

    [LibraryImport("advapi32", EntryPoint = "OpenProcessToken", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool OpenToken(SafeProcessHandle process, uint access, out SafeAccessTokenHandle token);

    /// <summary>Into this process.</summary>
    [LibraryImport("kernel32", EntryPoint = "DuplicateHandle", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Duplicate(
        SafeHandle fromProcess, nint source, nint toProcess, out SafeFileHandle copy, uint access, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint options);

    /// <summary>Within this process.</summary>
    [LibraryImport("kernel32", EntryPoint = "DuplicateHandle", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Duplicate(
        nint fromProcess, SafeHandle source, nint toProcess, out nint copy, uint access, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint options);

    /// <summary>Into another process, where only its number is known here.</summary>
    [LibraryImport("kernel32", EntryPoint = "DuplicateHandle", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Duplicate(
        nint fromProcess, SafeHandle source, SafeHandle toProcess, out nint copy, uint access, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint options);
}
