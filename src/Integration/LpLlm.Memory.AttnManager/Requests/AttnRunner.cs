using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Attention;

/// <summary>Computes one job: pages first, then the result's block, then the arithmetic, and only then the new lengths.</summary>
internal sealed class AttnRunner(IPinnedMemoryPool pool, int parallelism)
{
    /// <summary>Below this many elements, waking other threads costs more than copying them (64 Ki floats take about 20 µs).</summary>
    private const long MinParallelElements = 65_536;

    private readonly ParallelOptions _parallel = new() { MaxDegreeOfParallelism = parallelism };

    public PinnedTensor<float> Run(AttnJob job)
    {
        var request = job.Request;
        foreach (var row in job.Rows)
        {
            row.Sequence.Reserve(request.Layer, row.TokenCount);
        }

        var result = pool.RentTensor<float>(job.TokenCount, request.QueryHeadCount, job.Layout.Shape.HeadDim);
        var committed = false;
        try
        {
            Compute(job, result);
            foreach (var row in job.Rows)
            {
                row.Sequence.Commit(request.Layer, row.TokenCount);
            }

            committed = true;
            return result;
        }
        finally
        {
            if (!committed)
            {
                result.Dispose();
            }
        }
    }

    private unsafe void Compute(AttnJob job, PinnedTensor<float> result)
    {
        // Pinning also finds out, before anything is written, that a caller's memory has been returned to its pool.
        using var query = job.Request.Query.Pin();
        using var key = job.Request.Key.Pin();
        using var value = job.Request.Value.Pin();
        var batch = new AttnBatch(
            job, (float*)query.Pointer, (float*)key.Pointer, (float*)value.Pointer, (float*)result.Lease.Address);
        var heads = job.Layout.Shape.KvHeadCount;
        ForEach(job.Rows.Length * heads, item => KvAppend.Run(batch, item / heads, item % heads), job.Request.Key.Length);

        var tiles = TilePlan.Create(job.Rows, heads, batch.GroupSize, parallelism);
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
