namespace LpLlm.Memory.Attention;

/// <summary>One stage: a job is computed, then the next.</summary>
internal sealed class HostPipeline : IAttnPipeline
{
    private readonly IPinnedMemoryPool _pool;
    private readonly AttnRunner _runner;
    private readonly AttnStage<AttnJob> _compute;
    private volatile bool _stopping;

    public HostPipeline(IPinnedMemoryPool pool, AttnRunner runner, int queueLength)
    {
        _pool = pool;
        _runner = runner;
        _compute = new AttnStage<AttnJob>(queueLength, Compute);
    }

    public ValueTask EnqueueAsync(AttnJob job, CancellationToken cancellationToken) => _compute.EnqueueAsync(job, cancellationToken);

    public ValueTask DisposeAsync()
    {
        _stopping = true;
        return new ValueTask(_compute.StopAsync());
    }

    private ValueTask Compute(AttnJob job)
    {
        if (_stopping)
        {
            job.Refuse(new ObjectDisposedException(typeof(IAttnManager).FullName));
        }

        ((HostJob)job).Run(_pool, _runner);
        return ValueTask.CompletedTask;
    }
}
