using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>The system calls of the loader. .NET's own read turns EINVAL, which decides on the fallback, into an exception without the number.</summary>
internal static partial class LoadNative
{
    public const int EINTR = 4;
    public const int EINVAL = 22;
    private const int F_GETFL = 3;
    private const int F_SETFL = 4;
    private const int CacheStatistics = 451; // cachestat, of Linux 6.5; the same number on all architectures

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

    /// <summary>Whether all of a range is in the page cache.</summary>
    /// <returns>False too where the kernel does not tell: before Linux 6.5, or about files of others.</returns>
    public static unsafe bool IsCached(SafeFileHandle file, long offsetBytes, long lengthBytes)
    {
        var range = stackalloc long[2] { offsetBytes, lengthBytes };
        var counts = stackalloc long[5]; // of pages: in the cache, dirty, being written, evicted, recently evicted
        return Call(CacheStatistics, file, range, counts, 0) == 0
            && counts[0] >= ((offsetBytes + lengthBytes - 1) / Environment.SystemPageSize) - (offsetBytes / Environment.SystemPageSize) + 1;
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static unsafe partial nint Call(nint number, SafeFileHandle file, long* range, long* counts, nint flags);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, nint buffer, nint lengthBytes, long offsetBytes);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(SafeFileHandle file, int command, nint argument);
}
