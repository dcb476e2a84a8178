namespace LpLlm.Memory.Sources;

/// <summary>What a <see cref="HostMemorySource"/> needs to know; validated by the options it comes from.</summary>
internal sealed record HostMemorySettings
{
    public HugePageMode HugePages { get; init; }

    public long HugePageBytes { get; init; } = HugePageReserve.SmallestBytes;

    public bool Shared { get; init; }

    public int? NumaNode { get; init; }

    public bool AllowPageable { get; init; }

    /// <summary>
    /// Largest range pinned by one call, while what is behind it is populated: half a slab, so that little is left to pin when that is done. Smaller ones wait
    /// more often for those who populate (16 GiB took 0.57 s on an H200's host, 0.67 in pieces of 256 MiB), and copies are cut where pieces meet, 5 us each.
    /// At least a huge page.
    /// </summary>
    public long PieceBytes { get => Math.Max(field, HugePageBytes); init; } = 512L << 20;

    /// <summary>Populates by touching pages, as on a kernel before 5.14; for tests.</summary>
    public bool TouchPages { get; init; }

    /// <summary>
    /// Whether regions are a server's segments: those come by the thousand, and their pages are for who debugs only. Their seals are not final: the
    /// server decides who may write when it gives one away (<see cref="MemoryFile.Seal"/>).
    /// </summary>
    public bool MakesSegments { get; init; }

    public static HostMemorySettings From(HostMemoryOptions options) => new()
    {
        HugePages = options.HugePages,
        HugePageBytes = options.HugePageBytes,
        Shared = options.Shared,
        NumaNode = options.NumaNode,
        AllowPageable = options.AllowPageable,
    };
}
