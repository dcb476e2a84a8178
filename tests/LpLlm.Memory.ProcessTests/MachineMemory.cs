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

    /// <param name="before">What was there before.</param>
    /// <param name="hugePages">
    /// Whether free huge pages count: only with the turn of <see cref="ReservedHugePages"/>, else another test project may have put its own back.
    /// </param>
    public bool IsBackTo(MachineMemory before, bool hugePages) =>
        LockedBytes <= before.LockedBytes + NoiseBytes
        && UnevictableBytes <= before.UnevictableBytes + NoiseBytes
        && SharedBytes <= before.SharedBytes + NoiseBytes
        && (!hugePages || FreeHugePages >= before.FreeHugePages)
        && Names.IsSubsetOf(before.Names);

    public override string ToString() =>
        $"locked {LockedBytes}, unevictable {UnevictableBytes}, shared {SharedBytes} B, {FreeHugePages} huge pages free, [{string.Join(", ", Names)}]";
}
