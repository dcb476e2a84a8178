namespace LpLlm.Memory.Attention.Tests;

/// <summary>Attention as the textbook has it: double precision, whole score rows, keys and values repeated per query head.</summary>
public static class Oracle
{
    /// <summary>The last <paramref name="newCount"/> tokens of a sequence attend to all of it, causally.</summary>
    public static float[] Attend(Tokens all, int newCount, float? scale = null)
    {
        var (dim, kvHeads) = (all.Shape.HeadDim, all.Shape.KvHeadCount);
        var factor = scale ?? 1 / Math.Sqrt(dim);
        var result = new float[newCount * all.QueryHeads * dim];
        for (var i = 0; i < newCount; i++)
        {
            for (var head = 0; head < all.QueryHeads; head++)
            {
                var kvHead = head / (all.QueryHeads / kvHeads);
                var position = all.Count - newCount + i;
                var query = ((position * all.QueryHeads) + head) * dim;
                var scores = new double[position + 1];
                for (var j = 0; j <= position; j++)
                {
                    for (var d = 0; d < dim; d++)
                    {
                        scores[j] += factor * all.Query[query + d] * Stored(all, all.Key, j, kvHead, d);
                    }
                }

                var weights = scores.Select(score => Math.Exp(score - scores.Max())).ToArray();
                for (var d = 0; d < dim; d++)
                {
                    var sum = weights.Select((weight, j) => weight * Stored(all, all.Value, j, kvHead, d)).Sum();
                    result[(((i * all.QueryHeads) + head) * dim) + d] = (float)(sum / weights.Sum());
                }
            }
        }

        return result;
    }

    // Rounded as the cache stores it: the comparison then needs no allowance for 16-bit storage.
    private static double Stored(Tokens all, float[] data, int token, int head, int d)
    {
        var value = data[(((token * all.Shape.KvHeadCount) + head) * all.Shape.HeadDim) + d];
        return all.Shape.ElementType switch
        {
            KvElementType.Float16 => (double)(Half)value,
            KvElementType.BFloat16 => (float)(BFloat16)value,
            _ => value,
        };
    }
}
