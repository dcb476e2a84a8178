using System.Numerics;

namespace LpLlm.Memory;

/// <summary>The rule for what may be asked of a pool, and of the allocators under it.</summary>
internal static class RentArguments
{
    private const int MaxAlignmentBytes = 2 << 20;

    /// <exception cref="ArgumentOutOfRangeException">The length is below 1, or the alignment no power of two up to 2 MiB.</exception>
    public static void Check(long lengthBytes, int alignmentBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        if (!BitOperations.IsPow2(alignmentBytes) || alignmentBytes > MaxAlignmentBytes)
        {
            throw new ArgumentOutOfRangeException(
                nameof(alignmentBytes), alignmentBytes, "The alignment must be a power of two from 1 B to 2 MiB.");
        }
    }
}
