using System.Buffers;
using System.Numerics.Tensors;

namespace LpLlm.Memory.Attention;

/// <summary>Attention of one tile, in blocks of 64 keys: scores, softmax weights, weighted values. All arithmetic is float32.</summary>
/// <remarks>
/// The keys and values of a KV head are read once for all queries of the tile, that is for all query heads of the group.
/// Blocks begin at multiples of 64 from the sequence's start, whatever the tile: a query's result is the same to the bit
/// in a prefill, in a chunk of it, alone or in a batch.
/// </remarks>
internal static unsafe class AttentionKernel
{
    private const int BlockKeys = 64;

    public static void Run(AttnBatch batch, in Tile tile)
    {
        var dim = batch.Layout.Shape.HeadDim;
        var count = tile.QueryCount;
        var length = count * (2 * dim + BlockKeys) + BlockKeys * dim;
        var buffer = ArrayPool<float>.Shared.Rent(length);
        try
        {
            fixed (float* start = buffer)
            {
                Run(batch, tile, start);
            }
        }
        finally
        {
            ArrayPool<float>.Shared.Return(buffer);
        }
    }

    private static void Run(AttnBatch batch, in Tile tile, float* scratch)
    {
        var layout = batch.Layout;
        var dim = layout.Shape.HeadDim;
        var count = tile.QueryCount;
        float* queries = scratch, sums = queries + (nint)count * dim, scores = sums + (nint)count * dim;
        var widened = scores + count * BlockKeys;
        var keyOffset = layout.KeyOffset(batch.Layer, tile.Head);
        var valueOffset = layout.ValueOffset(batch.Layer, tile.Head);

        Span<int> limits = stackalloc int[TilePlan.MaxQueries];
        Span<int> visible = stackalloc int[TilePlan.MaxQueries];
        Span<float> maxima = stackalloc float[TilePlan.MaxQueries];
        Span<float> totals = stackalloc float[TilePlan.MaxQueries];
        limits = limits[..count];
        visible = visible[..count];
        maxima.Fill(float.NegativeInfinity);
        totals.Clear();
        new Span<float>(sums, count * dim).Clear();
        LoadQueries(batch, tile, queries, limits);

        // Queries are in the order of their tokens, so the last one sees the most keys.
        for (var block = 0; block < limits[^1]; block += BlockKeys)
        {
            var keys = Math.Min(BlockKeys, limits[^1] - block);
            var pages = new PageCursor(layout, batch.Rows[tile.Row].Sequence, block, keys);
            while (pages.MoveNext())
            {
                var page = pages.Load(keyOffset, widened);
                DotKernel.Run(queries, count, page, pages.Count, dim, scores + pages.Start, BlockKeys);
            }

            for (var query = 0; query < count; query++)
            {
                var seen = Math.Clamp(limits[query] - block, 0, keys);
                if (seen > 0)
                {
                    SoftmaxKernel.Advance(
                        new Span<float>(scores + query * BlockKeys, seen), new Span<float>(sums + (nint)query * dim, dim),
                        ref maxima[query], ref totals[query]);
                }
            }

            pages.Reset();
            while (pages.MoveNext())
            {
                for (var query = 0; query < count; query++)
                {
                    visible[query] = Math.Clamp(limits[query] - block - pages.Start, 0, pages.Count);
                }

                var page = pages.Load(valueOffset, widened);
                WeightedSumKernel.Run(sums, visible, scores + pages.Start, BlockKeys, page, dim);
            }
        }

        StoreResults(batch, tile, sums, totals);
    }

    /// <summary>Copies the tile's queries, scaled, and notes how many keys each sees: the causal mask, aligned to the right end.</summary>
    private static void LoadQueries(AttnBatch batch, in Tile tile, float* queries, Span<int> limits)
    {
        var dim = batch.Layout.Shape.HeadDim;
        var earlier = batch.Rows[tile.Row].Sequence.GetLength(batch.Layer);
        for (var query = 0; query < limits.Length; query++)
        {
            var token = (int)((tile.FirstQuery + query) / batch.GroupSize);
            limits[query] = earlier + token + 1;
            var target = queries + (nint)query * dim;
            var source = batch.Query.Load(ElementOf(batch, tile, query), dim, target);
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(source, dim), batch.Scale, new Span<float>(target, dim));
        }
    }

    private static void StoreResults(AttnBatch batch, in Tile tile, float* sums, ReadOnlySpan<float> totals)
    {
        var dim = batch.Layout.Shape.HeadDim;
        for (var query = 0; query < tile.QueryCount; query++)
        {
            var result = new Span<float>(sums + (nint)query * dim, dim);
            TensorPrimitives.Divide(result, totals[query], result);
            batch.Result.Store(ElementOf(batch, tile, query), dim, sums + (nint)query * dim);
        }
    }

    /// <summary>Index of a query's first element in <c>[tokens, query heads, head dimension]</c>.</summary>
    private static nint ElementOf(AttnBatch batch, in Tile tile, int query)
    {
        var (token, member) = Math.DivRem(tile.FirstQuery + query, batch.GroupSize);
        var head = (long)tile.Head * batch.GroupSize + member;
        return (nint)(((batch.Rows[tile.Row].FirstToken + token) * batch.QueryHeadCount + head) * batch.Layout.Shape.HeadDim);
    }
}
