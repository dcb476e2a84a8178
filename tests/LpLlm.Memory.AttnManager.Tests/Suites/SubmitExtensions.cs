namespace LpLlm.Memory.Attention.Tests;

public static class SubmitExtensions
{
    /// <summary>Submits rows to a layer, waits, and gives the result back to the pool; one array per row.</summary>
    public static async Task<float[][]> AttendAsync(
        this IAttnManager manager, int layer, params (IKvSequence Sequence, Tokens Tokens)[] rows)
    {
        using var result = await manager.SubmitAsync(Tokens.Request(layer, null, rows)).WaitAsync(AttnTestBase.Deadline);
        var width = rows[0].Tokens.QueryHeads * rows[0].Tokens.Shape.HeadDim;
        result.Shape.ToArray().Should().Equal(rows.Sum(row => row.Tokens.Count), rows[0].Tokens.QueryHeads, rows[0].Tokens.Shape.HeadDim);
        var first = 0;
        var parts = new float[rows.Length][];
        for (var i = 0; i < rows.Length; i++)
        {
            parts[i] = result.AsSpan().Slice(first, rows[i].Tokens.Count * width).ToArray();
            first += parts[i].Length;
        }

        return parts;
    }

    public static async Task<float[]> AttendAsync(this IAttnManager manager, IKvSequence sequence, Tokens tokens) =>
        (await manager.AttendAsync(0, (sequence, tokens)))[0];

    /// <summary>Float32 arithmetic on a few hundred terms of size 2: 2e-5 leaves room for ten times the error seen.</summary>
    public static void ShouldMatch(this float[] actual, float[] expected, float tolerance = 2e-5f)
    {
        actual.Should().HaveSameCount(expected);
        for (var i = 0; i < actual.Length; i++)
        {
            if (!(MathF.Abs(actual[i] - expected[i]) <= tolerance))
            {
                actual[i].Should().BeApproximately(expected[i], tolerance, "element {0} of {1}", i, actual.Length);
            }
        }
    }
}
