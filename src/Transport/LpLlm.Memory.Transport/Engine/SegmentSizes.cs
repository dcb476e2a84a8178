namespace LpLlm.Memory.Transport.Engine;

/// <summary>Arithmetic on lengths of segments. All of them are multiples of 2 MiB: a huge page, and what every kernel can map.</summary>
internal static class SegmentSizes
{
    /// <summary>Whether it is a length that a segment can have.</summary>
    public static bool IsWhole(long lengthBytes) => lengthBytes > 0 && lengthBytes % PoolProtocol.UnitBytes == 0;

    /// <summary>Rounds up to 2 MiB; false where the length is not positive or the result is no longer a <see cref="long"/>.</summary>
    public static bool TryRoundUp(long lengthBytes, out long roundedBytes)
    {
        roundedBytes = 0;
        if (lengthBytes is <= 0 or > long.MaxValue - (PoolProtocol.UnitBytes - 1))
        {
            return false;
        }

        roundedBytes = (lengthBytes + (PoolProtocol.UnitBytes - 1)) & ~(PoolProtocol.UnitBytes - 1);
        return true;
    }

    /// <summary>Whether used + more is above the limit, without overflow. No argument is negative.</summary>
    public static bool Exceeds(long usedBytes, long moreBytes, long limitBytes) => moreBytes > limitBytes || usedBytes > limitBytes - moreBytes;
}
