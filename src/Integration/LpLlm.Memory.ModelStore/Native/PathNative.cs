using System.Runtime.InteropServices;
using System.Text;

namespace LpLlm.Memory.Models;

/// <summary>The kernel's own resolution of paths.</summary>
internal static unsafe partial class PathNative
{
    public const int NoEntry = 2;
    public const int NotAFolder = 20;
    private const int LongestPathBytes = 4096;

    /// <returns>The absolute path without symbolic links; null with the error number set.</returns>
    public static string? TryResolve(string path)
    {
        var buffer = stackalloc byte[LongestPathBytes];
        return RealPath(path, buffer) is null ? null : Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer));
    }

    [LibraryImport("libc", EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial byte* RealPath(string path, byte* resolved);
}
