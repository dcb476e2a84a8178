namespace LpLlm.Memory.Transport;

/// <summary>What both ends of the protocol agree on.</summary>
internal static class PoolProtocol
{
    /// <summary>The only version so far.</summary>
    public const uint Version = 1;

    /// <summary>Longest text for people, in characters.</summary>
    public const int MaxTextLength = 128;

    /// <summary>The unit of all lengths: a huge page.</summary>
    public const long UnitBytes = 2L << 20;

    /// <summary>The length as it is leased: a multiple of 2 MiB.</summary>
    /// <param name="lengthBytes">At least 1.</param>
    public static long RoundUp(long lengthBytes) => checked(lengthBytes + UnitBytes - 1) & ~(UnitBytes - 1);
}
