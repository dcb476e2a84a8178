using System.Buffers;
using System.Numerics;
using System.Numerics.Tensors;
using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Numerics;

/// <summary>y = x Wᵀ for bfloat16 weights <c>[outputs, inputs]</c> and float32 activations.</summary>
internal static class Linear
{
    // Multiply-adds below which waking a second thread (about 10 µs) costs more than it saves (0.1 ms of work at 10 G/s).
    private const long ParallelWork = 1 << 20;

    /// <param name="input"><c>[tokens, inputs]</c></param>
    /// <param name="tokenCount">Tokens in the input.</param>
    /// <param name="weight"><c>[outputs, inputs]</c></param>
    /// <param name="output"><c>[tokens, outputs]</c>, overwritten.</param>
    public static void Multiply(ReadOnlyMemory<float> input, int tokenCount, Weight weight, Memory<float> output)
    {
        var (rows, columns) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        var parts = (long)tokenCount * rows * columns < ParallelWork ? 1 : Math.Min(rows, Environment.ProcessorCount);
        if (parts == 1)
        {
            MultiplyRows(input.Span, tokenCount, weight, 0, rows, output.Span);
            return;
        }

        Parallel.For(0, parts, part => MultiplyRows(
            input.Span,
            tokenCount,
            weight,
            (int)((long)rows * part / parts),
            (int)((long)rows * (part + 1) / parts),
            output.Span));
    }

    private static void MultiplyRows(
        ReadOnlySpan<float> input, int tokenCount, Weight weight, int firstRow, int endRow, Span<float> output)
    {
        var (rows, columns) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        var weights = weight.AsSpan();
        var buffer = ArrayPool<float>.Shared.Rent(columns);
        var row = buffer.AsSpan(0, columns);
        for (var r = firstRow; r < endRow; r++)
        {
            WeightRow.Widen(weights.Slice(r * columns, columns), row); // once for all tokens of the block
            var token = 0;
            for (; token + 4 <= tokenCount; token += 4)
            {
                var sums = DotOfFour(row, input.Slice(token * columns, 4 * columns));
                for (var i = 0; i < 4; i++)
                {
                    output[((token + i) * rows) + r] = sums[i];
                }
            }

            for (; token < tokenCount; token++)
            {
                output[(token * rows) + r] = TensorPrimitives.Dot(row, input.Slice(token * columns, columns));
            }
        }

        ArrayPool<float>.Shared.Return(buffer);
    }

    /// <summary>Four dot products that share the loads of the weight row: 5 loads for 4 multiply-adds instead of 8.</summary>
    private static Vector4 DotOfFour(ReadOnlySpan<float> row, ReadOnlySpan<float> inputs)
    {
        var a = inputs[..row.Length];
        var b = inputs.Slice(row.Length, row.Length);
        var c = inputs.Slice(2 * row.Length, row.Length);
        var d = inputs.Slice(3 * row.Length, row.Length);
        var (sumA, sumB, sumC, sumD) = (Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero);
        var i = 0;
        for (; i <= row.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var w = new Vector<float>(row[i..]);
            sumA = Vector.FusedMultiplyAdd(w, new Vector<float>(a[i..]), sumA);
            sumB = Vector.FusedMultiplyAdd(w, new Vector<float>(b[i..]), sumB);
            sumC = Vector.FusedMultiplyAdd(w, new Vector<float>(c[i..]), sumC);
            sumD = Vector.FusedMultiplyAdd(w, new Vector<float>(d[i..]), sumD);
        }

        var sums = new Vector4(Vector.Sum(sumA), Vector.Sum(sumB), Vector.Sum(sumC), Vector.Sum(sumD));
        for (; i < row.Length; i++)
        {
            sums += row[i] * new Vector4(a[i], b[i], c[i], d[i]);
        }

        return sums;
    }
}
