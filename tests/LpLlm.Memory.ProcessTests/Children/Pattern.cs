using System.Runtime.InteropServices;

namespace LpLlm.Memory.Tests.Children;

/// <summary>Bytes that tell whose they are: each 8 of them say which pattern and where.</summary>
internal static class Pattern
{
    public static void Fill(nint address, long lengthBytes, long seed)
    {
        var at = 0L;
        foreach (ref var word in Words(address, lengthBytes))
        {
            word = Word(seed, at++);
        }
    }

    /// <summary>Words that are not the pattern's.</summary>
    public static long CountWrong(nint address, long lengthBytes, long seed)
    {
        var (at, wrong) = (0L, 0L);
        foreach (var word in Words(address, lengthBytes))
        {
            wrong += word == Word(seed, at++) ? 0 : 1;
        }

        return wrong;
    }

    public static long CountNonZero(nint address, long lengthBytes)
    {
        var words = Words(address, lengthBytes);
        return words.IndexOfAnyExcept(0L) < 0 ? 0 : words.ToArray().LongCount(word => word != 0);
    }

    private static long Word(long seed, long at) => unchecked((seed + 1) * (long)0x9E3779B97F4A7C15) ^ ((at + 1) << 1 | 1);

    private static unsafe Span<long> Words(nint address, long lengthBytes) =>
        MemoryMarshal.Cast<byte, long>(new Span<byte>((void*)address, checked((int)lengthBytes)));
}
