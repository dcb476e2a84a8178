namespace LpLlm.Memory;

internal static class TensorShape
{
    /// <summary>Number of elements; a scalar (no dimensions) has one.</summary>
    public static long Count(ReadOnlySpan<nint> shape)
    {
        long count = 1;
        foreach (var length in shape)
        {
            if (length < 1)
            {
                throw new ArgumentException($"Shape {Format(shape)} has a length below 1.", nameof(shape));
            }

            if (length > long.MaxValue / count)
            {
                throw new ArgumentException($"Shape {Format(shape)} has more than 2^63 - 1 elements.", nameof(shape));
            }

            count *= length;
        }

        return count;
    }

    public static string Format(ReadOnlySpan<nint> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
