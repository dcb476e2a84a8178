using System.Globalization;

namespace LpLlm.Memory.Cuda;

/// <summary>What the kernel knows of this process's mappings.</summary>
internal static class Mappings
{
    /// <summary>Whether the address is mapped to be read and not written. Slow: for the way after a refusal only.</summary>
    public static bool IsReadOnly(nint address)
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        foreach (var line in File.ReadLines("/proc/self/maps"))
        {
            // 7f12a000-7f12c000 r--s 00000000 00:01 1234 name
            var dash = line.IndexOf('-', StringComparison.Ordinal);
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            var start = ulong.Parse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            var end = ulong.Parse(line.AsSpan(dash + 1, space - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if ((ulong)address >= start && (ulong)address < end)
            {
                return line.AsSpan(space + 1).StartsWith("r-", StringComparison.Ordinal);
            }
        }

        return false;
    }
}
