using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>
/// Starts the program once more where jemalloc is installed but does not load. It wants static thread-local storage, of which
/// glibc keeps 512 B for libraries that come late; how much is read from the environment at process start only.
/// </summary>
internal static class StaticTlsRestart
{
    public const string Variable = "GLIBC_TUNABLES";

    /// <summary>16 KiB: jemalloc 5.3 wants a little under 3 KiB.</summary>
    public const string Tunables = "glibc.rtld.optional_static_tls=16384";

    /// <returns>The exit code of the second process, or null when this one can go on itself.</returns>
    public static int? TryRun(string[] args)
    {
        var inherited = Environment.GetEnvironmentVariable(Variable) ?? "";
        if (inherited.Contains("optional_static_tls", StringComparison.Ordinal) || !IsNeeded())
        {
            return null;
        }

        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false };
        start.Environment[Variable] = inherited.Length == 0 ? Tunables : $"{inherited}:{Tunables}";
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(StaticTlsRestart).Assembly.Location);
        }

        foreach (var argument in args)
        {
            start.ArgumentList.Add(argument);
        }

        using var second = Process.Start(start)!;
        second.WaitForExit();
        return second.ExitCode;
    }

    public static bool IsCause(DllNotFoundException refusal) => refusal.Message.Contains("static TLS", StringComparison.Ordinal);

    private static bool IsNeeded()
    {
        try
        {
            NativeLibrary.Load(JemallocAdapter.LibraryName);
            return false;
        }
        catch (DllNotFoundException refusal)
        {
            return IsCause(refusal);
        }
    }
}
