namespace LpLlm.Memory.Pooling;

/// <summary>One pool of a hybrid pool.</summary>
/// <param name="Pool">The pool.</param>
/// <param name="IsOwned">Whether the hybrid pool opens and disposes it.</param>
internal sealed record HybridMember(IPinnedMemoryPool Pool, bool IsOwned = false)
{
    /// <summary>Set for a size class: it is asked for rents of exactly this length only.</summary>
    public long? BlockBytes { get; init; }

    /// <summary>The largest alignment that it is asked for.</summary>
    public int AlignmentBytes { get; init; } = RentArguments.MaxAlignmentBytes;

    public bool MayServe(long lengthBytes, int alignmentBytes) =>
        BlockBytes is not { } exact || (exact == lengthBytes && alignmentBytes <= AlignmentBytes);
}
