using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>What a process could leave behind: pages that stay taken, and names in /dev/shm.</summary>
internal sealed record MachineMemory(long LockedBytes, long UnevictableBytes, long SharedBytes, long FreeHugePages, HashSet<string> Names)
{
    /// <summary>What others on the machine lock and share meanwhile; a third of the least that a child takes.</summary>
    private const long NoiseBytes = 10L << 20;

    public static MachineMemory Read()
    {
        var fields = File.ReadLines("/proc/meminfo")
            .Select(line => line.Split([':', ' '], StringSplitOptions.RemoveEmptyEntries))
            .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
        return new MachineMemory(
            fields["Mlocked"] * 1024,
            fields["Unevictable"] * 1024,
            fields["Shmem"] * 1024,
            fields.GetValueOrDefault("HugePages_Free") - fields.GetValueOrDefault("HugePages_Rsvd"),
            Directory.Exists("/dev/shm") ? [.. Directory.EnumerateFileSystemEntries("/dev/shm")] : []);
    }

    public bool IsBackTo(MachineMemory before) =>
        LockedBytes <= before.LockedBytes + NoiseBytes
        && UnevictableBytes <= before.UnevictableBytes + NoiseBytes
        && SharedBytes <= before.SharedBytes + NoiseBytes
        && FreeHugePages >= before.FreeHugePages
        && Names.IsSubsetOf(before.Names);

    public override string ToString() =>
        $"locked {LockedBytes}, unevictable {UnevictableBytes}, shared {SharedBytes} B, {FreeHugePages} huge pages free, [{string.Join(", ", Names)}]";
}
