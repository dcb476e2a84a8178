namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>What the index says of one tensor.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="OffsetBytes">First byte, counted over all data files one behind the other.</param>
/// <param name="LengthBytes">Bytes of its storage.</param>
/// <param name="Shape">Lengths of the dimensions, outermost first.</param>
/// <param name="Strides">Steps of the dimensions in elements.</param>
/// <param name="ElementType">As torch writes it, for example <c>torch.bfloat16</c>.</param>
internal sealed record TensorEntry(
    string Name, long OffsetBytes, long LengthBytes, long[] Shape, long[] Strides, string ElementType)
{
    public string ShapeText => FormatShape(Shape);

    public static string FormatShape(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>Whether the elements follow each other in row-major order. The step of a dimension of length 1 says nothing.</summary>
    public bool IsContiguous()
    {
        if (Strides.Length != Shape.Length)
        {
            return false;
        }

        Int128 step = 1; // a product of lengths out of a broken file may exceed 2^63 - 1
        for (var dimension = Shape.Length - 1; dimension >= 0; dimension--)
        {
            if (Shape[dimension] != 1 && Strides[dimension] != step)
            {
                return false;
            }

            step *= Shape[dimension];
        }

        return true;
    }
}
