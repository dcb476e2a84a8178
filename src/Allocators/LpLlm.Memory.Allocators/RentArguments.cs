using System.Numerics;

namespace LpLlm.Memory;

/// <summary>The rule for what may be asked of a pool, and of the allocators under it.</summary>
internal static class RentArguments
{
    public const int MaxAlignmentBytes = 2 << 20;

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

    /// <exception cref="ArgumentOutOfRangeException">A member of the request is out of range.</exception>
    public static void Check(in RentRequest request)
    {
        Check(request.LengthBytes, request.AlignmentBytes);
        if (request.Priority is < RentPriority.Low or > RentPriority.High)
        {
            throw new ArgumentOutOfRangeException(nameof(request), request.Priority, "The priority must be Low, Normal or High.");
        }

        if (request.Timeout is { } timeout && (timeout < TimeSpan.Zero || timeout > PinnedPoolOptions.LongestWait))
        {
            throw new ArgumentOutOfRangeException(
                nameof(request), timeout, $"The timeout must be from 0 to {PinnedPoolOptions.LongestWait:c}; null is the pool's own.");
        }
    }
}
