namespace LpLlm.Memory.Attention;

/// <summary>One layer's attention for a batch. The memory is read until the request's task has completed.</summary>
public sealed class AttnRequest
{
    /// <summary>Layer index, 0 to <see cref="KvCacheShape.LayerCount"/> - 1.</summary>
    public required int Layer { get; init; }

    /// <summary>Query heads: a multiple of the cache's KV heads. Query head h reads KV head h / (query heads / KV heads).</summary>
    public required int QueryHeadCount { get; init; }

    /// <summary>The sequences of one cache, each once, in the order in which their tokens stand in the tensors; at least one.</summary>
    public required IReadOnlyList<AttnRow> Rows { get; init; }

    /// <summary>Queries, positions already encoded: <c>[tokens of all rows, query heads, head dimension]</c>.</summary>
    public required ReadOnlyMemory<float> Query { get; init; }

    /// <summary>New keys, positions already encoded: <c>[tokens of all rows, KV heads, head dimension]</c>.</summary>
    public required ReadOnlyMemory<float> Key { get; init; }

    /// <summary>New values: <c>[tokens of all rows, KV heads, head dimension]</c>.</summary>
    public required ReadOnlyMemory<float> Value { get; init; }

    /// <summary>Factor on the scores; null for 1 / sqrt(head dimension).</summary>
    public float? Scale { get; init; }
}
