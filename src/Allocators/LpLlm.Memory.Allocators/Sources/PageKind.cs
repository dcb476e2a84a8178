namespace LpLlm.Memory.Sources;

/// <summary>What backs a mapping.</summary>
internal enum PageKind
{
    /// <summary>The system's pages, 4 KiB as a rule.</summary>
    Small,

    /// <summary>The system's pages, which the kernel merges to huge ones as it populates.</summary>
    Transparent,

    /// <summary>The system's pages of shared memory, which this library asks the kernel to merge to huge ones.</summary>
    Collapsed,

    /// <summary>Huge pages reserved by the administrator (hugetlb): resident from the first touch, never swapped.</summary>
    Reserved,
}
