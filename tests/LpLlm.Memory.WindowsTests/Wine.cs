using System.Runtime.InteropServices;

namespace LpLlm.Memory.Windows;

/// <summary>Whether this is no Windows, but Wine, which has not all of it.</summary>
internal static class Wine
{
    public static void SkipIfRunning(string reason) =>
        Skip.If(NativeLibrary.TryGetExport(NativeLibrary.Load("ntdll"), "wine_get_version", out _), $"This is Wine: {reason}.");
}
