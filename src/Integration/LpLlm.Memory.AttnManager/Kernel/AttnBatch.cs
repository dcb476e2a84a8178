namespace LpLlm.Memory.Attention;

/// <summary>What every work item of a job needs; the memory stays pinned as long as items run.</summary>
internal sealed unsafe class AttnBatch
{
    public AttnBatch(AttnJob job, float* query, float* key, float* value, float* result)
    {
        Layout = job.Layout;
        Layer = job.Request.Layer;
        Rows = job.Rows;
        QueryHeadCount = job.Request.QueryHeadCount;
        GroupSize = QueryHeadCount / Layout.Shape.KvHeadCount;
        Scale = job.Request.Scale ?? 1 / MathF.Sqrt(Layout.Shape.HeadDim);
        Query = query;
        Key = key;
        Value = value;
        Result = result;
    }

    public KvLayout Layout { get; }

    public int Layer { get; }

    public AttnJobRow[] Rows { get; }

    public int QueryHeadCount { get; }

    /// <summary>Query heads that share a KV head.</summary>
    public int GroupSize { get; }

    public float Scale { get; }

    public float* Query { get; }

    public float* Key { get; }

    public float* Value { get; }

    public float* Result { get; }
}
