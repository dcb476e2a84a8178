namespace LpLlm.Memory.Attention;

/// <summary>Cuts a job into tiles. The cut never changes a result: each query is computed on its own within its tile.</summary>
internal static class TilePlan
{
    /// <summary>
    /// Queries of a tile at most: with 64 keys and head dimension 128 its scratch is 150 KiB, which stays in a core's L2,
    /// and each key read (and widened from 16 bits) serves 64 queries.
    /// </summary>
    public const int MaxQueries = 64;

    /// <summary>Tiles per thread to aim at, so that the causal triangle's short and long tiles even out.</summary>
    private const int TilesPerThread = 4;

    public static Tile[] Create(AttnJobRow[] rows, int heads, int groupSize, int threads)
    {
        var tokens = (long)rows[^1].FirstToken + rows[^1].TokenCount;
        var share = tokens * heads / ((long)threads * TilesPerThread);

        // Whole tokens, so that a group of query heads shares each read; a group above 64 heads is cut.
        var tileTokens = Math.Clamp(share, 1, Math.Max(1, MaxQueries / groupSize));
        var tileQueries = (int)Math.Min(tileTokens * groupSize, MaxQueries);
        var tiles = new List<Tile>();
        for (var row = 0; row < rows.Length; row++)
        {
            var queries = (long)rows[row].TokenCount * groupSize;
            for (var head = 0; head < heads; head++)
            {
                for (long first = 0; first < queries; first += tileQueries)
                {
                    tiles.Add(new Tile(row, head, first, (int)Math.Min(tileQueries, queries - first)));
                }
            }
        }

        return [.. tiles];
    }
}
