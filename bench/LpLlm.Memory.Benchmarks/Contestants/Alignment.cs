namespace LpLlm.Memory.Benchmarks.Contestants;

internal static class Alignment
{
    /// <summary>What every lease of a pool has; asked of all peers that can give it.</summary>
    public const int Bytes = 256;

    /// <summary>What native peers are asked for where less is wanted: less than a pointer is not theirs to give.</summary>
    public static nuint AtLeastPointer(int alignmentBytes) => (nuint)Math.Max(alignmentBytes, nint.Size);
}
