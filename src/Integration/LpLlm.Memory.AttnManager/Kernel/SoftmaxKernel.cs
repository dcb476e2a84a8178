using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Attention;

/// <summary>Softmax over blocks that arrive one after the other: the largest score so far, and sums relative to it.</summary>
internal static class SoftmaxKernel
{
    /// <summary>Turns one query's scores of a block into weights and brings its running sums to the new maximum.</summary>
    /// <param name="scores">In: scores. Out: weights, relative to the new maximum.</param>
    /// <param name="sums">The query's weighted sum of values so far.</param>
    /// <param name="maximum">The largest score so far; negative infinity at first.</param>
    /// <param name="total">The sum of the weights so far.</param>
    public static void Advance(Span<float> scores, Span<float> sums, ref float maximum, ref float total)
    {
        var largest = MathF.Max(maximum, TensorPrimitives.Max<float>(scores));
        if (float.IsNegativeInfinity(largest))
        {
            scores.Clear(); // No weight yet; minus infinity less itself would be NaN and spoil the blocks to come.
            return;
        }

        TensorPrimitives.Subtract(scores, largest, scores);
        TensorPrimitives.Exp(scores, scores);
        if (largest != maximum)
        {
            var correction = MathF.Exp(maximum - largest);
            total *= correction;
            TensorPrimitives.Multiply(sums, correction, sums);
            maximum = largest;
        }

        total += Sum(scores);
    }

    // Own loop: TensorPrimitives.Sum may add in another order when the span's alignment differs, and equal queries must
    // give equal results to the bit in any batch.
    private static float Sum(ReadOnlySpan<float> values)
    {
        Vector<float> sums = default;
        var i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            sums += Unsafe.ReadUnaligned<Vector<float>>(in Unsafe.As<float, byte>(ref Unsafe.AsRef(in values[i])));
        }

        var sum = Vector.Sum(sums);
        for (; i < values.Length; i++)
        {
            sum += values[i];
        }

        return sum;
    }
}
