using System.Globalization;

namespace LpLlm.Memory.Sources;

/// <summary>The huge pages of one size that the administrator has reserved, of the machine or of one NUMA node.</summary>
internal sealed class HugePageReserve(long pageBytes, int? numaNode, string sysPath = "/sys")
{
    public const long SmallestBytes = 2L << 20;
    public const long LargestBytes = 1L << 30;

    private readonly string _machine = Path.Combine(sysPath, "kernel/mm", Folder(pageBytes));

    private string CountFolder =>
        numaNode is { } node ? Path.Combine(sysPath, $"devices/system/node/node{node}", Folder(pageBytes)) : _machine;

    public long GetFreeBytes() => CountFree() * pageBytes;

    /// <exception cref="MemorySourceException">Too few pages are free.</exception>
    public void EnsureAvailable(long lengthBytes)
    {
        if (lengthBytes > GetFreeBytes())
        {
            throw Refusal(lengthBytes, innerException: null);
        }
    }

    /// <summary>Says how many pages are free and how to reserve the rest.</summary>
    public MemorySourceException Refusal(long lengthBytes, Exception? innerException)
    {
        var free = CountFree();
        var needed = ((lengthBytes - 1) / pageBytes) + 1;
        var total = Read(CountFolder, "nr_hugepages");
        var size = ByteSize.Format(pageBytes) + " pages" + (numaNode is { } node ? $" on NUMA node {node}" : "");
        var remedy = total is null
            ? $"This kernel has no {size}: set HugePageBytes to another size, or HugePages to Auto."
            : $"{needed} huge pages are needed and {free} of {total} {size} are free. "
                + $"Reserve more: echo {total + Math.Max(needed - free, 1)} > {Path.Combine(CountFolder, "nr_hugepages")} "
                + "(as root, best at boot), or set HugePages to Auto.";
        return new MemorySourceException("reserving huge pages", Errno.ENoMem, "ENOMEM", lengthBytes, free * pageBytes, remedy, innerException);
    }

    private long CountFree()
    {
        // Free counts pages that other mappings have a claim on but have not touched. Claims are not counted by node.
        var unclaimed = (Read(_machine, "free_hugepages") ?? 0) - (Read(_machine, "resv_hugepages") ?? 0);
        if (numaNode is not null)
        {
            return Math.Max(0, Math.Min(unclaimed, Read(CountFolder, "free_hugepages") ?? 0));
        }

        // Pages that the kernel may add by itself, when asked.
        var spare = (Read(_machine, "nr_overcommit_hugepages") ?? 0) - (Read(_machine, "surplus_hugepages") ?? 0);
        return Math.Max(0, unclaimed + Math.Max(0, spare));
    }

    private static string Folder(long pageBytes) => $"hugepages/hugepages-{pageBytes / 1024}kB";

    private static long? Read(string folder, string name)
    {
        var file = Path.Combine(folder, name);
        return File.Exists(file) ? long.Parse(File.ReadAllText(file), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) : null;
    }
}
