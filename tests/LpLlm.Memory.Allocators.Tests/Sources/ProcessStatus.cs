using System.Globalization;

namespace LpLlm.Memory.Tests.Sources;

/// <summary>What the kernel says of this process.</summary>
internal static class ProcessStatus
{
    public static long ReadBytes(string field)
    {
        var line = File.ReadLines("/proc/self/status").Single(text => text.StartsWith(field, StringComparison.Ordinal));
        return long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024;
    }
}
