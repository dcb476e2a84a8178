using System.Globalization;
using LpLlm.Memory.Sources.Windows;

namespace LpLlm.Memory.Sources;

/// <summary>
/// How much memory can be populated without being killed. Past a cgroup's or the machine's limit, populating ends in SIGKILL by
/// the out-of-memory killer, never in an error number, so the question must be asked before.
/// </summary>
/// <param name="procPath">Where procfs is mounted.</param>
/// <param name="cgroupPath">Where cgroupfs is mounted.</param>
/// <param name="sysPath">Where sysfs is mounted.</param>
/// <param name="numaNode">The only node that memory is to come from: full, it kills just like a full machine.</param>
internal sealed class MemoryBudget(
    string procPath = "/proc", string cgroupPath = "/sys/fs/cgroup", string sysPath = "/sys", int? numaNode = null)
{
    /// <summary>Left to the process and its neighbours: what a .NET host needs to report a refusal.</summary>
    public const long HeadroomBytes = 64L << 20;

    /// <exception cref="MemorySourceException">The memory is not there.</exception>
    public void EnsureAvailable(long lengthBytes)
    {
        var (available, limitName) = GetAvailable();
        if (lengthBytes > available - HeadroomBytes)
        {
            throw new MemorySourceException(
                "preflight", 0, "out of memory", lengthBytes, available,
                $"Only {ByteSize.Format(available)} are left under {limitName}, of which {ByteSize.Format(HeadroomBytes)} are kept free: "
                + "lower InitialBytes or CapacityBytes, free memory, or raise that limit.");
        }
    }

    public (long Bytes, string LimitName) GetAvailable()
    {
        if (OperatingSystem.IsWindows())
        {
            return PhysicalMemory.GetAvailable();
        }

        var best = (Bytes: ReadMemAvailable() ?? long.MaxValue, Name: "MemAvailable of the machine");
        if (ReadNodeAvailable() is { } onNode && onNode < best.Bytes)
        {
            best = (onNode, $"MemFree of NUMA node {numaNode}");
        }

        foreach (var group in GroupFolders())
        {
            var limit = ReadNumber(Path.Combine(group.Folder, group.Limit));
            var usage = ReadNumber(Path.Combine(group.Folder, group.Usage));
            if (limit is { } most && usage is { } used)
            {
                // Clean page cache counts as usage but is dropped before anything is killed.
                var cache = ReadField(Path.Combine(group.Folder, "memory.stat"), group.InactiveFile) ?? 0;
                var left = Math.Max(0, most - Math.Max(0, used - cache));
                if (left < best.Bytes)
                {
                    best = (left, $"{group.Limit} of {group.Folder}");
                }
            }
        }

        return best;
    }

    /// <summary>What there would be if nobody else had any.</summary>
    public (long Bytes, string LimitName) GetTotal()
    {
        if (OperatingSystem.IsWindows())
        {
            return PhysicalMemory.GetTotal();
        }

        var best = (Bytes: ReadField(Path.Combine(procPath, "meminfo"), "MemTotal:") * 1024 ?? long.MaxValue, Name: "MemTotal of the machine");
        foreach (var group in GroupFolders())
        {
            if (ReadNumber(Path.Combine(group.Folder, group.Limit)) is { } most && most < best.Bytes)
            {
                best = (most, $"{group.Limit} of {group.Folder}");
            }
        }

        return best;
    }

    private IEnumerable<(string Folder, string Limit, string Usage, string InactiveFile)> GroupFolders()
    {
        foreach (var line in ReadLines(Path.Combine(procPath, "self/cgroup")))
        {
            var parts = line.Split(':', 3);
            if (parts.Length != 3)
            {
                continue;
            }

            var isV2 = parts[0] == "0" && parts[1].Length == 0;
            if (!isV2 && !parts[1].Split(',').Contains("memory"))
            {
                continue;
            }

            // A limit of any ancestor binds too. Inside a container the path may not exist below the mount; its root does.
            var root = isV2 ? cgroupPath : Path.Combine(cgroupPath, "memory");
            for (var path = parts[2].Trim('/'); ; path = Path.GetDirectoryName(path) ?? "")
            {
                var folder = Path.Combine(root, path);
                yield return isV2
                    ? (folder, "memory.max", "memory.current", "inactive_file")
                    : (folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
                if (path.Length == 0)
                {
                    break;
                }
            }
        }
    }

    private long? ReadNodeAvailable()
    {
        var file = Path.Combine(sysPath, $"devices/system/node/node{numaNode}", "meminfo");
        // Free, and clean page cache, which is dropped before anything is killed.
        return numaNode is not null
            ? (ReadField(file, $"Node {numaNode} MemFree:") + (ReadField(file, $"Node {numaNode} Inactive(file):") ?? 0)) * 1024
            : null;
    }

    private long? ReadMemAvailable() => ReadField(Path.Combine(procPath, "meminfo"), "MemAvailable:") * 1024;

    private static long? ReadNumber(string path) =>
        ReadLines(path).FirstOrDefault() is { } text && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : null; // absent, or "max"

    private static long? ReadField(string path, string name)
    {
        foreach (var line in ReadLines(path))
        {
            // "MemAvailable: 8388608 kB", "inactive_file 4096", "Node 0 MemFree: 8388608 kB"
            if (line.StartsWith(name, StringComparison.Ordinal) && line[name.Length..] is [' ', ..] rest
                && rest.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var text, ..]
                && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            {
                return value;
            }
        }

        return null;
    }

    private static string[] ReadLines(string path) => File.Exists(path) ? File.ReadAllLines(path) : [];
}
