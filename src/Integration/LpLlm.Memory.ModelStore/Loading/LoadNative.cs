using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>The two system calls of the loader. .NET's own read turns EINVAL, which decides on the fallback, into an exception without the number.</summary>
internal static partial class LoadNative
{
    public const int EINTR = 4;
    public const int EINVAL = 22;
    private const int F_GETFL = 3;
    private const int F_SETFL = 4;

    // The kernel's number of O_DIRECT is one of the few that differ between architectures.
    private static readonly int Direct =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    /// <summary>Turns O_DIRECT of an open file on or off.</summary>
    /// <returns>False where the file system has no direct reads.</returns>
    public static bool TrySetDirect(SafeFileHandle file, bool direct)
    {
        var flags = FileControl(file, F_GETFL, 0);
        return flags >= 0 && FileControl(file, F_SETFL, direct ? flags | Direct : flags & ~Direct) == 0;
    }

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, nint buffer, nint lengthBytes, long offsetBytes);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(SafeFileHandle file, int command, nint argument);
}
