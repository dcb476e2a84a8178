namespace LpLlm.Memory.Attention;

/// <summary>One work item: some queries of a row that read the same KV head.</summary>
/// <param name="Row">Index of the row.</param>
/// <param name="Head">KV head.</param>
/// <param name="FirstQuery">First query, counted as token of the row * group size + head in the group.</param>
/// <param name="QueryCount">Queries, at most <see cref="TilePlan.MaxQueries"/>.</param>
internal readonly record struct Tile(int Row, int Head, long FirstQuery, int QueryCount);
