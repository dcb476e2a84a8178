using System.Globalization;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Benchmarks.Reporting;

/// <summary>Where and when: numbers without it are worth nothing.</summary>
internal static class Machine
{
    public static void Print(string command)
    {
        var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            Command: `{command}`; date: {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC
            Machine: {ProcessorName()}, {Environment.ProcessorCount} logical cores, {ByteSize.Format(memory)} of memory, {RuntimeInformation.OSDescription}, kernel {ReadFirstLine("/proc/sys/kernel/osrelease")},
            huge pages {ReadFirstLine("/sys/kernel/mm/transparent_hugepage/enabled")}, {RuntimeInformation.FrameworkDescription}
            """));
    }

    private static string ProcessorName()
    {
        const string Info = "/proc/cpuinfo";
        var line = File.Exists(Info)
            ? File.ReadLines(Info).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }

    private static string ReadFirstLine(string path) => File.Exists(path) ? File.ReadLines(path).FirstOrDefault("?") : "?";
}
