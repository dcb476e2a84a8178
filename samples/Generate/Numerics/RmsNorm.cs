using System.Numerics.Tensors;
using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Numerics;

/// <summary>Scales each token to a root mean square of 1, then by the weight.</summary>
internal static class RmsNorm
{
    public static void Apply(ReadOnlySpan<float> input, Weight weight, float epsilon, Span<float> output)
    {
        var scale = weight.AsSpan();
        var width = scale.Length;
        for (var start = 0; start < input.Length; start += width)
        {
            var token = input.Slice(start, width);
            var factor = 1 / MathF.Sqrt((TensorPrimitives.SumOfSquares(token) / width) + epsilon);
            for (var i = 0; i < width; i++)
            {
                output[start + i] = token[i] * factor * scale[i];
            }
        }
    }
}
