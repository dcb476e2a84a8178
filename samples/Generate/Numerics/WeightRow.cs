using System.Numerics;
using System.Runtime.InteropServices;

namespace LpLlm.Memory.Samples.Generate.Numerics;

/// <summary>Widens bfloat16 to float32: the sixteen bits are the upper half of the float.</summary>
internal static class WeightRow
{
    public static void Widen(ReadOnlySpan<BFloat16> source, Span<float> destination)
    {
        var bits = MemoryMarshal.Cast<BFloat16, ushort>(source);
        var i = 0;
        for (; i <= bits.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(bits[i..]), out var low, out var high);
            Vector.AsVectorSingle(low << 16).CopyTo(destination[i..]);
            Vector.AsVectorSingle(high << 16).CopyTo(destination[(i + Vector<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
        {
            destination[i] = source[i];
        }
    }
}
