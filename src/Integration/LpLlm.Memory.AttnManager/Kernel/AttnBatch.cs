namespace LpLlm.Memory.Attention;

/// <summary>What every work item of a job needs; the memory stays where it is as long as items run.</summary>
/// <param name="step">What is attended.</param>
/// <param name="query"><c>[tokens, query heads, head dimension]</c>.</param>
/// <param name="key"><c>[tokens, KV heads, head dimension]</c>; address 0 when the new keys are in their pages already.</param>
/// <param name="value">The same of the values.</param>
/// <param name="result"><c>[tokens, query heads, head dimension]</c>.</param>
internal sealed class AttnBatch(AttnStep step, TypedPointer query, TypedPointer key, TypedPointer value, TypedPointer result)
{
    public KvLayout Layout { get; } = step.Layout;

    public int Layer { get; } = step.Layer;

    public AttnJobRow[] Rows { get; } = step.Rows;

    public int QueryHeadCount { get; } = step.QueryHeadCount;

    /// <summary>Query heads that share a KV head.</summary>
    public int GroupSize { get; } = step.QueryHeadCount / step.Layout.Shape.KvHeadCount;

    public float Scale { get; } = step.Scale ?? 1 / MathF.Sqrt(step.Layout.Shape.HeadDim);

    public TypedPointer Query { get; } = query;

    public TypedPointer Key { get; } = key;

    public TypedPointer Value { get; } = value;

    public TypedPointer Result { get; } = result;
}
