namespace LpLlm.Memory.Models;

/// <summary>How much of its storage a tensor covers. In 128 bits: a broken file's numbers may multiply to more than 2^63.</summary>
internal static class TensorExtent
{
    /// <summary>Bytes from the storage's first byte to behind the tensor's last element; 0 for a tensor without elements.</summary>
    /// <returns>At most <see cref="Int128.MaxValue"/>, where it stops counting.</returns>
    public static Int128 EndBytes(IReadOnlyList<long> shape, IReadOnlyList<long> strides, long storageOffset, int elementBytes)
    {
        if (shape.Contains(0))
        {
            return 0;
        }

        // Each product is below 2^126, so a sum that is cut off at 2^63 cannot run over.
        Int128 last = storageOffset;
        for (var i = 0; i < shape.Count; i++)
        {
            last = Int128.Min(last + ((Int128)(shape[i] - 1) * strides[i]), (Int128)1 << 64);
        }

        return (last + 1) * elementBytes;
    }

    /// <summary>Strides of a row-major tensor, as torch has them: a dimension of length 0 counts as one of length 1.</summary>
    /// <exception cref="OverflowException">The shape's product exceeds 2^63 - 1.</exception>
    public static long[] RowMajorStrides(IReadOnlyList<long> shape)
    {
        var strides = new long[shape.Count];
        var step = 1L;
        for (var i = shape.Count - 1; i >= 0; i--)
        {
            strides[i] = step;
            step = checked(step * Math.Max(shape[i], 1));
        }

        return strides;
    }
}
