namespace LpLlm.Memory.Attention;

/// <summary>One layer's attention for a batch whose tensors lie in memory of <see cref="IAttnManager.Device"/>.</summary>
/// <remarks>
/// The inputs are read until the request's task has completed. The result may lie where an input does. Keys and values of the cache's element type
/// are copied straight into their pages; of another type they are converted by the CPU, which costs a staging block and a pass.
/// </remarks>
public sealed class AttnDeviceRequest
{
    /// <summary>Layer index, 0 to <see cref="KvCacheShape.LayerCount"/> - 1.</summary>
    public required int Layer { get; init; }

    /// <summary>Query heads: a multiple of the cache's KV heads. Query head h reads KV head h / (query heads / KV heads).</summary>
    public required int QueryHeadCount { get; init; }

    /// <summary>The sequences of one cache, each once, in the order in which their tokens stand in the tensors; at least one.</summary>
    public required IReadOnlyList<AttnRow> Rows { get; init; }

    /// <summary>Queries, positions already encoded: <c>[tokens of all rows, query heads, head dimension]</c>.</summary>
    public required AttnDeviceTensor Query { get; init; }

    /// <summary>New keys, positions already encoded: <c>[tokens of all rows, KV heads, head dimension]</c>.</summary>
    public required AttnDeviceTensor Key { get; init; }

    /// <summary>New values: <c>[tokens of all rows, KV heads, head dimension]</c>.</summary>
    public required AttnDeviceTensor Value { get; init; }

    /// <summary>Where the result goes: <c>[tokens of all rows, query heads, head dimension]</c>, rounded to its element type.</summary>
    public required AttnDeviceTensor Result { get; init; }

    /// <summary>Factor on the scores; null for 1 / sqrt(head dimension).</summary>
    public float? Scale { get; init; }

    /// <summary>
    /// The driver's handle of a recorded event behind which the inputs are there, and the result may be written; null (default) for none.
    /// It stays valid until the task has completed.
    /// </summary>
    public nint? ReadyEvent { get; init; }

    /// <summary>
    /// The driver's handle of the stream that makes the inputs: the copies come behind all that was enqueued there before the request was
    /// submitted, and perhaps behind what is enqueued until the task completes. 0 is the default stream, null (default) none. It stays valid
    /// until the task has completed.
    /// </summary>
    public nint? ProducerStream { get; init; }

    /// <summary>
    /// The driver's handle of the stream that uses the result: what is enqueued there after the task's completion comes behind the result.
    /// 0 is the default stream, null (default) none. It stays valid until the task has completed.
    /// </summary>
    public nint? ConsumerStream { get; init; }
}
