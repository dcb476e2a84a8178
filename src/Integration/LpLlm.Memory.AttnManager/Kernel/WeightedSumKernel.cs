using System.Numerics;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Attention;

/// <summary>Adds values, each times its weight, to the running sums of some queries.</summary>
/// <remarks>
/// Two queries by four vectors of columns at a time, the sums in registers while the keys go by: each value loaded serves both.
/// A query takes only the values that it may see: a hidden one times zero would still carry a NaN or an infinity over.
/// Every sum is made in the order of the keys, so results do not depend on the batch.
/// </remarks>
internal static unsafe class WeightedSumKernel
{
    /// <param name="sums">A row of <paramref name="dim"/> floats for each query.</param>
    /// <param name="visible">For each query, how many of the values it sees.</param>
    /// <param name="weights">The weight of value 0 for query 0.</param>
    /// <param name="stride">Floats from one query's weights to the next one's.</param>
    /// <param name="values">Rows of <paramref name="dim"/> floats.</param>
    /// <param name="dim">Elements of a value.</param>
    public static void Run(float* sums, ReadOnlySpan<int> visible, float* weights, int stride, float* values, int dim)
    {
        for (var query = 0; query < visible.Length; query += 2)
        {
            var sum = sums + (nint)query * dim;
            var weight = weights + query * stride;
            var pair = query + 1 < visible.Length ? Math.Min(visible[query], visible[query + 1]) : 0;
            Add2(sum, weight, weight + stride, pair, values, dim);
            Add1(sum, weight, pair, visible[query], values, dim);
            if (query + 1 < visible.Length)
            {
                Add1(sum + dim, weight + stride, pair, visible[query + 1], values, dim);
            }
        }
    }

    private static void Add2(float* sum, float* weight0, float* weight1, int count, float* values, int dim)
    {
        if (count == 0)
        {
            return;
        }

        var width = Vector<float>.Count;
        var column = 0;
        for (; column <= dim - 4 * width; column += 4 * width)
        {
            float* a = sum + column, b = a + dim, v = values + column;
            Vector<float> a0 = Load(a), a1 = Load(a + width), a2 = Load(a + 2 * width), a3 = Load(a + 3 * width);
            Vector<float> b0 = Load(b), b1 = Load(b + width), b2 = Load(b + 2 * width), b3 = Load(b + 3 * width);
            for (var key = 0; key < count; key++, v += dim)
            {
                Vector<float> p = new(weight0[key]), r = new(weight1[key]);
                var x = Load(v);
                a0 = Vector.FusedMultiplyAdd(p, x, a0);
                b0 = Vector.FusedMultiplyAdd(r, x, b0);
                x = Load(v + width);
                a1 = Vector.FusedMultiplyAdd(p, x, a1);
                b1 = Vector.FusedMultiplyAdd(r, x, b1);
                x = Load(v + 2 * width);
                a2 = Vector.FusedMultiplyAdd(p, x, a2);
                b2 = Vector.FusedMultiplyAdd(r, x, b2);
                x = Load(v + 3 * width);
                a3 = Vector.FusedMultiplyAdd(p, x, a3);
                b3 = Vector.FusedMultiplyAdd(r, x, b3);
            }

            Store(a, a0, a1, a2, a3);
            Store(b, b0, b1, b2, b3);
        }

        AddColumns(sum, weight0, 0, count, values, column, dim);
        AddColumns(sum + dim, weight1, 0, count, values, column, dim);
    }

    private static void Add1(float* sum, float* weight, int from, int to, float* values, int dim)
    {
        if (from >= to)
        {
            return;
        }

        var width = Vector<float>.Count;
        var column = 0;
        for (; column <= dim - 4 * width; column += 4 * width)
        {
            float* a = sum + column, v = values + column + (nint)from * dim;
            Vector<float> a0 = Load(a), a1 = Load(a + width), a2 = Load(a + 2 * width), a3 = Load(a + 3 * width);
            for (var key = from; key < to; key++, v += dim)
            {
                var p = new Vector<float>(weight[key]);
                a0 = Vector.FusedMultiplyAdd(p, Load(v), a0);
                a1 = Vector.FusedMultiplyAdd(p, Load(v + width), a1);
                a2 = Vector.FusedMultiplyAdd(p, Load(v + 2 * width), a2);
                a3 = Vector.FusedMultiplyAdd(p, Load(v + 3 * width), a3);
            }

            Store(a, a0, a1, a2, a3);
        }

        AddColumns(sum, weight, from, to, values, column, dim);
    }

    /// <summary>The columns left over by the blocks of four vectors.</summary>
    private static void AddColumns(float* sum, float* weight, int from, int to, float* values, int column, int dim)
    {
        for (; column <= dim - Vector<float>.Count; column += Vector<float>.Count)
        {
            var total = Load(sum + column);
            for (var key = from; key < to; key++)
            {
                total = Vector.FusedMultiplyAdd(new Vector<float>(weight[key]), Load(values + (nint)key * dim + column), total);
            }

            Unsafe.WriteUnaligned(sum + column, total);
        }

        for (; column < dim; column++)
        {
            for (var key = from; key < to; key++)
            {
                sum[column] = MathF.FusedMultiplyAdd(weight[key], values[(nint)key * dim + column], sum[column]);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Load(float* source) => Unsafe.ReadUnaligned<Vector<float>>(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* target, Vector<float> x0, Vector<float> x1, Vector<float> x2, Vector<float> x3)
    {
        Unsafe.WriteUnaligned(target, x0);
        Unsafe.WriteUnaligned(target + Vector<float>.Count, x1);
        Unsafe.WriteUnaligned(target + 2 * Vector<float>.Count, x2);
        Unsafe.WriteUnaligned(target + 3 * Vector<float>.Count, x3);
    }
}
