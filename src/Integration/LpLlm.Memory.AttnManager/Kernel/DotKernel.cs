using System.Numerics;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Attention;

/// <summary>Scores: the dot product of each query with each key.</summary>
/// <remarks>
/// Two queries by four keys at a time: eight independent sums hide the latency of multiply-add, and six loads feed eight of
/// them. Every pair is summed in the same order whatever block it falls into, so results do not depend on the batch.
/// </remarks>
internal static unsafe class DotKernel
{
    /// <param name="queries">Rows of <paramref name="dim"/> floats.</param>
    /// <param name="queryCount">Queries.</param>
    /// <param name="keys">Rows of <paramref name="dim"/> floats.</param>
    /// <param name="keyCount">Keys.</param>
    /// <param name="dim">Elements of a query and of a key.</param>
    /// <param name="scores">Where the score of query 0 and key 0 goes.</param>
    /// <param name="stride">Floats from one query's scores to the next one's.</param>
    public static void Run(float* queries, int queryCount, float* keys, int keyCount, int dim, float* scores, int stride)
    {
        var key = 0;
        for (; key <= keyCount - 4; key += 4)
        {
            var block = keys + (nint)key * dim;
            var query = 0;
            for (; query <= queryCount - 2; query += 2)
            {
                Dot2X4(queries + (nint)query * dim, block, dim, scores + query * stride + key, stride);
            }

            if (query < queryCount)
            {
                Dot1X4(queries + (nint)query * dim, block, dim, scores + query * stride + key);
            }
        }

        for (; key < keyCount; key++)
        {
            for (var query = 0; query < queryCount; query++)
            {
                scores[query * stride + key] = Dot1X1(queries + (nint)query * dim, keys + (nint)key * dim, dim);
            }
        }
    }

    private static void Dot2X4(float* query, float* keys, int dim, float* scores, int stride)
    {
        float* q1 = query + dim, k1 = keys + dim, k2 = k1 + dim, k3 = k2 + dim;
        Vector<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector<float> s10 = default, s11 = default, s12 = default, s13 = default;
        var i = 0;
        for (; i <= dim - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> a = Load(query + i), b = Load(q1 + i);
            var k = Load(keys + i);
            s00 = Vector.FusedMultiplyAdd(a, k, s00);
            s10 = Vector.FusedMultiplyAdd(b, k, s10);
            k = Load(k1 + i);
            s01 = Vector.FusedMultiplyAdd(a, k, s01);
            s11 = Vector.FusedMultiplyAdd(b, k, s11);
            k = Load(k2 + i);
            s02 = Vector.FusedMultiplyAdd(a, k, s02);
            s12 = Vector.FusedMultiplyAdd(b, k, s12);
            k = Load(k3 + i);
            s03 = Vector.FusedMultiplyAdd(a, k, s03);
            s13 = Vector.FusedMultiplyAdd(b, k, s13);
        }

        scores[0] = Finish(s00, query, keys, i, dim);
        scores[1] = Finish(s01, query, k1, i, dim);
        scores[2] = Finish(s02, query, k2, i, dim);
        scores[3] = Finish(s03, query, k3, i, dim);
        scores[stride] = Finish(s10, q1, keys, i, dim);
        scores[stride + 1] = Finish(s11, q1, k1, i, dim);
        scores[stride + 2] = Finish(s12, q1, k2, i, dim);
        scores[stride + 3] = Finish(s13, q1, k3, i, dim);
    }

    private static void Dot1X4(float* query, float* keys, int dim, float* scores)
    {
        float* k1 = keys + dim, k2 = k1 + dim, k3 = k2 + dim;
        Vector<float> s0 = default, s1 = default, s2 = default, s3 = default;
        var i = 0;
        for (; i <= dim - Vector<float>.Count; i += Vector<float>.Count)
        {
            var a = Load(query + i);
            s0 = Vector.FusedMultiplyAdd(a, Load(keys + i), s0);
            s1 = Vector.FusedMultiplyAdd(a, Load(k1 + i), s1);
            s2 = Vector.FusedMultiplyAdd(a, Load(k2 + i), s2);
            s3 = Vector.FusedMultiplyAdd(a, Load(k3 + i), s3);
        }

        scores[0] = Finish(s0, query, keys, i, dim);
        scores[1] = Finish(s1, query, k1, i, dim);
        scores[2] = Finish(s2, query, k2, i, dim);
        scores[3] = Finish(s3, query, k3, i, dim);
    }

    private static float Dot1X1(float* query, float* key, int dim)
    {
        Vector<float> sum = default;
        var i = 0;
        for (; i <= dim - Vector<float>.Count; i += Vector<float>.Count)
        {
            sum = Vector.FusedMultiplyAdd(Load(query + i), Load(key + i), sum);
        }

        return Finish(sum, query, key, i, dim);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Finish(Vector<float> sums, float* query, float* key, int done, int dim)
    {
        var sum = Vector.Sum(sums);
        for (var i = done; i < dim; i++)
        {
            sum = MathF.FusedMultiplyAdd(query[i], key[i], sum);
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Load(float* source) => Unsafe.ReadUnaligned<Vector<float>>(source);
}
