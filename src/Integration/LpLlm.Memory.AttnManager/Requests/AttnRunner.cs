using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Attention;

/// <summary>The arithmetic of one job: new keys and values into their pages, then the attention.</summary>
internal sealed class AttnRunner(int parallelism)
{
    /// <summary>Below this many elements, waking other threads costs more than copying them (64 Ki floats take about 20 µs).</summary>
    private const long MinParallelElements = 65_536;

    private readonly ParallelOptions _parallel = new() { MaxDegreeOfParallelism = parallelism };

    public void Run(AttnBatch batch)
    {
        var heads = batch.Layout.Shape.KvHeadCount;
        if (batch.Key.Address != 0 || batch.Value.Address != 0)
        {
            var last = batch.Rows[^1];
            var elements = ((long)last.FirstToken + last.TokenCount) * heads * batch.Layout.Shape.HeadDim;
            ForEach(batch.Rows.Length * heads, item => KvAppend.Run(batch, item / heads, item % heads), elements);
        }

        var tiles = TilePlan.Create(batch.Rows, heads, batch.GroupSize, parallelism);
        ForEach(tiles.Length, item => AttentionKernel.Run(batch, tiles[item]), long.MaxValue);
    }

    private void ForEach(int count, Action<int> body, long elements)
    {
        if (count == 1 || parallelism == 1 || elements < MinParallelElements)
        {
            for (var item = 0; item < count; item++)
            {
                body(item);
            }

            return;
        }

        try
        {
            Parallel.For(0, count, _parallel, body);
        }
        catch (AggregateException failures)
        {
            // The caller is promised this request's failure, not a bag of what each thread met.
            ExceptionDispatchInfo.Throw(failures.InnerExceptions[0]);
        }
    }
}
