namespace LpLlm.Memory.Attention;

internal sealed class AttnManager : IAttnManager
{
    private readonly Lock _gate = new();
    private readonly HashSet<KvCache> _caches = [];
    private readonly AttnManagerOptions _options;
    private readonly PageBudget _budget;
    private readonly AttnDispatcher _dispatcher;
    private bool _disposed;

    /// <summary>Starts nothing and rents nothing. The pool stays the caller's.</summary>
    public AttnManager(IPinnedMemoryPool pool, AttnManagerOptions options)
    {
        Pool = pool;
        _options = options;
        _budget = new PageBudget(pool.Name, options.PoolSize);
        var runner = new AttnRunner(pool, options.Parallelism ?? Environment.ProcessorCount);
        _dispatcher = new AttnDispatcher(options.QueueLength, runner.Run);
    }

    public IPinnedMemoryPool Pool { get; }

    public IKvCache CreateCache(KvCacheShape shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var layout = new KvLayout(shape, _options.PageTokens);
        if (layout.PageBytes > _options.ChunkSize)
        {
            throw new ArgumentException(
                $"A KV page is {layout.PageBytes} B, more than ChunkSize = {_options.ChunkSize} B; raise ChunkSize, "
                + $"or lower PageTokens = {_options.PageTokens}.", nameof(shape));
        }

        var cache = new KvCache(this, _budget, layout);
        lock (_gate)
        {
            ThrowIfDisposedUnsynchronized();
            _caches.Add(cache);
        }

        return cache;
    }

    public async Task<PinnedTensor<float>> SubmitAsync(AttnRequest request, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            ThrowIfDisposedUnsynchronized();
        }

        var rows = AttnRequestCheck.Check(request, this);
        cancellationToken.ThrowIfCancellationRequested();
        var job = AttnJob.Accept(request, rows);
        var queued = false;
        try
        {
            await _dispatcher.EnqueueAsync(job, cancellationToken).ConfigureAwait(false);
            queued = true;
        }
        finally
        {
            if (!queued)
            {
                job.Withdraw();
            }
        }

        using var registration = cancellationToken.UnsafeRegister(static (state, token) => ((AttnJob)state!).Cancel(token), job);
        return await job.Task.ConfigureAwait(false);
    }

    /// <summary>Waits for the request that is being computed, as <see cref="DisposeAsync"/> does.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        KvCache[] caches;
        lock (_gate)
        {
            _disposed = true;
            caches = [.. _caches];
        }

        // First the dispatcher: afterwards no request runs, so every page can go back at once.
        await _dispatcher.StopAsync().ConfigureAwait(false);
        foreach (var cache in caches)
        {
            cache.Dispose();
        }
    }

    public void Forget(KvCache cache)
    {
        lock (_gate)
        {
            _caches.Remove(cache);
        }
    }

    private void ThrowIfDisposedUnsynchronized() => ObjectDisposedException.ThrowIf(_disposed, typeof(IAttnManager));
}
