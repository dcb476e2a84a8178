namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>What the holes look like and what is rented into them; sizes are spread evenly, in steps of 256 B.</summary>
internal sealed record HoleShape(string Name, long MinHoleBytes, long MaxHoleBytes, long SeparatorBytes, long PairBytes, long MinTenantBytes)
{
    /// <summary>Equal holes of 4 KiB between blocks of 4 KiB.</summary>
    public static HoleShape Equal { get; } = new("4 KiB", 4 << 10, 4 << 10, 4 << 10, 1 << 10, 256);

    /// <summary>Unequal holes: for an allocator over offsets only, because 65,536 of them are 34 GiB.</summary>
    public static HoleShape Unequal { get; } = new("64 KiB to 1 MiB", 64 << 10, 1 << 20, 256, 100 << 10, 64 << 10);

    /// <summary>Room for that many holes, their separators, and as much again as the holes for what does not fit into them.</summary>
    public long RoomFor(int holes) => holes * ((2 * MaxHoleBytes) + SeparatorBytes);
}
