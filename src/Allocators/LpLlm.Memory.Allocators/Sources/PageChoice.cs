namespace LpLlm.Memory.Sources;

/// <summary>The pages of one mapping: kind, size, and what follows from them.</summary>
internal readonly record struct PageChoice(PageKind Kind, long Bytes)
{
    /// <summary>Reserved pages are never swapped, so they are page-locked without a call and without RLIMIT_MEMLOCK.</summary>
    public PoolCapabilities Capabilities => Kind == PageKind.Reserved ? PoolCapabilities.PageLocked : PoolCapabilities.None;

    public long RoundUp(long lengthBytes) => (lengthBytes + Bytes - 1) / Bytes * Bytes;

    public override string ToString() => Kind switch
    {
        PageKind.Reserved => $"reserved huge pages of {ByteSize.Format(Bytes)}",
        PageKind.Transparent => "transparent huge pages",
        PageKind.Collapsed => "huge pages, merged",
        _ => $"pages of {ByteSize.Format(Bytes)}",
    };
}
