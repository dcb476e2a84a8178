using System.Numerics;

namespace LpLlm.Memory.Tlsf;

/// <summary>
/// The two levels of TLSF (Masmano et al., ECRTS 2004): a power of two, divided into 32 bins. Sizes below 64 units have a bin
/// each; above, a bin is at most 1/32 of its size wide.
/// </summary>
internal static class SizeBins
{
    public const int SubBits = 5;
    public const int SubCount = 1 << SubBits;

    /// <summary>First levels for sizes up to 2^32 units.</summary>
    public const int LevelCount = 32 - SubBits + 2;

    /// <summary>The bin of a size of 1 to 2^32 units: level * 32 + sub-bin.</summary>
    public static int Of(long size)
    {
        if (size < SubCount)
        {
            return (int)size;
        }

        var log = BitOperations.Log2((ulong)size);
        return ((log - SubBits + 1) << SubBits) + (int)((size >> (log - SubBits)) & (SubCount - 1));
    }

    /// <summary>How many low bits of a size tell the blocks of its bin apart.</summary>
    public static int FreeBits(int bin) => Math.Max(0, (bin >> SubBits) - 1);
}
