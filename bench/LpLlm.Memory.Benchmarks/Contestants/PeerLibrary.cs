using System.Runtime.InteropServices;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>A peer that may not be installed.</summary>
internal static class PeerLibrary
{
    /// <summary>Loads the library, or says on the console that its contestant is left out.</summary>
    public static bool TryOpen(string name, out nint library)
    {
        try
        {
            library = NativeLibrary.Load(name);
            return true;
        }
        catch (DllNotFoundException refusal)
        {
            Console.WriteLine($"Notice: {name} is left out: {Reason(refusal)}");
            library = 0;
            return false;
        }
    }

    private static string Reason(DllNotFoundException refusal) => StaticTlsRestart.IsCause(refusal)
        ? $"it is installed, but needs {StaticTlsRestart.Tunables} in GLIBC_TUNABLES and glibc 2.33."
        : "it is not installed (Debian: apt-get install libmimalloc2.0 libjemalloc2).";
}
