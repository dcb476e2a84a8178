using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Children;

/// <summary>What a client could do to the descriptors it was given; each says <c>done</c> or the number of the error.</summary>
internal static partial class Hostile
{
    private const int PunchHoleKeepSize = 2 | 1;

    public static string Truncate(SafeFileHandle file, long lengthBytes) => Answer(SetLength(file, lengthBytes));

    public static string Punch(SafeFileHandle file, long lengthBytes) => Answer(Allocate(file, PunchHoleKeepSize, 0, lengthBytes));

    /// <summary>Reads the names in a folder.</summary>
    public static string Look(string folder)
    {
        try
        {
            return $"{Directory.EnumerateFileSystemEntries(folder).Count()}";
        }
        catch (Exception refusal) when (refusal is UnauthorizedAccessException or IOException)
        {
            return refusal.GetType().Name;
        }
    }

    /// <summary>A child that holds copies of all descriptors and does nothing, for as long as it lives: its pid.</summary>
    /// <remarks>The child has this one thread, so it must not load, compile or collect anything: it never comes back to the runtime.</remarks>
    public static unsafe int Fork()
    {
        var libc = NativeLibrary.Load("libc.so.6");
        var fork = (delegate* unmanaged[SuppressGCTransition]<int>)NativeLibrary.GetExport(libc, "fork");
        var pause = (delegate* unmanaged[SuppressGCTransition]<int>)NativeLibrary.GetExport(libc, "pause");
        var child = fork();
        while (child == 0)
        {
            _ = pause();
        }

        return child;
    }

    private static string Answer(int result) => result == 0 ? "done" : $"errno {Marshal.GetLastPInvokeError()}";

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int SetLength(SafeFileHandle file, long lengthBytes);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long lengthBytes);
}
