namespace LpLlm.Memory.Attention.Tests;

/// <summary>Queries, keys and values of some tokens of one sequence, and the requests made of them.</summary>
public sealed record Tokens(int Count, int QueryHeads, KvCacheShape Shape, float[] Query, float[] Key, float[] Value)
{
    public static Tokens Random(int seed, int count, int queryHeads, KvCacheShape shape)
    {
        var random = new Random(seed);
        float[] Draw(int heads)
        {
            var data = new float[count * heads * shape.HeadDim];
            for (var i = 0; i < data.Length; i++)
            {
                data[i] = (random.NextSingle() - 0.5f) * 4;
            }

            return data;
        }

        return new Tokens(count, queryHeads, shape, Draw(queryHeads), Draw(shape.KvHeadCount), Draw(shape.KvHeadCount));
    }

    public Tokens Slice(int first, int count) => this with
    {
        Count = count,
        Query = Part(Query, first, count, QueryHeads),
        Key = Part(Key, first, count, Shape.KvHeadCount),
        Value = Part(Value, first, count, Shape.KvHeadCount),
    };

    public static AttnRequest Request(int layer, float? scale, params (IKvSequence Sequence, Tokens Tokens)[] rows) => new()
    {
        Layer = layer,
        QueryHeadCount = rows[0].Tokens.QueryHeads,
        Rows = [.. rows.Select(row => new AttnRow(row.Sequence, row.Tokens.Count))],
        Query = rows.SelectMany(row => row.Tokens.Query).ToArray(),
        Key = rows.SelectMany(row => row.Tokens.Key).ToArray(),
        Value = rows.SelectMany(row => row.Tokens.Value).ToArray(),
        Scale = scale,
    };

    private float[] Part(float[] data, int first, int count, int heads) =>
        data.AsSpan(first * heads * Shape.HeadDim, count * heads * Shape.HeadDim).ToArray();
}
