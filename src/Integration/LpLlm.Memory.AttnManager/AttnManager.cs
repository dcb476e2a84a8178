namespace LpLlm.Memory.Attention;

internal sealed class AttnManager : IAttnManager
{
    private readonly Lock _gate = new();
    private readonly HashSet<KvCache> _caches = [];
    private readonly AttnManagerOptions _options;
    private readonly PageBudget _budget;
    private readonly IAttnPipeline _pipeline;
    private bool _disposed;

    /// <summary>Rents nothing. The pool stays the caller's.</summary>
    /// <param name="pool">Holds the pages and the results.</param>
    /// <param name="options">Checked options.</param>
    /// <param name="device">Where <see cref="AttnManagerOptions.Device"/> leads; null for <c>cpu</c>.</param>
    /// <param name="time">For the deadline of a stop; null for the system's.</param>
    /// <exception cref="PinnedMemoryException">The device refuses its streams.</exception>
    public AttnManager(IPinnedMemoryPool pool, AttnManagerOptions options, IMemoryDevice? device = null, TimeProvider? time = null)
    {
        Pool = pool;
        Device = device;
        _options = options;
        _budget = new PageBudget(pool.Name, options.PoolSize);
        var runner = new AttnRunner(options.Parallelism ?? Environment.ProcessorCount);
        _pipeline = device is null
            ? new HostPipeline(pool, runner, options.QueueLength)
            : new DevicePipeline(device, pool, runner, options.QueueLength, time ?? TimeProvider.System);
    }

    public IPinnedMemoryPool Pool { get; }

    public IMemoryDevice? Device { get; }

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
        ThrowIfDisposed();
        var step = AttnRequestCheck.Check(request, this);
        cancellationToken.ThrowIfCancellationRequested();
        var job = new HostJob(request, step);
        await EnqueueAsync(job, cancellationToken).ConfigureAwait(false);
        using var registration = RegisterCancel(job, cancellationToken);
        return await job.Task.ConfigureAwait(false);
    }

    public async Task<IDeviceFence> SubmitAsync(AttnDeviceRequest request, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        var step = AttnRequestCheck.Check(request, this);
        cancellationToken.ThrowIfCancellationRequested();
        var job = new DeviceJob(request, step, cancellationToken);
        await EnqueueAsync(job, cancellationToken).ConfigureAwait(false);
        using var registration = RegisterCancel(job, cancellationToken);
        return await job.Task.ConfigureAwait(false);
    }

    /// <summary>Waits for the requests that have begun, as <see cref="DisposeAsync"/> does.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        KvCache[] caches;
        lock (_gate)
        {
            _disposed = true;
            caches = [.. _caches];
        }

        // First the pipeline: afterwards no request runs, so every page can go back at once.
        await _pipeline.DisposeAsync().ConfigureAwait(false);
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

    private static CancellationTokenRegistration RegisterCancel(AttnJob job, CancellationToken cancellationToken) =>
        cancellationToken.UnsafeRegister(static (state, token) => ((AttnJob)state!).Cancel(token), job);

    private async Task EnqueueAsync(AttnJob job, CancellationToken cancellationToken)
    {
        var queued = false;
        try
        {
            await _pipeline.EnqueueAsync(job, cancellationToken).ConfigureAwait(false);
            queued = true;
        }
        finally
        {
            if (!queued)
            {
                job.Withdraw();
            }
        }
    }

    private void ThrowIfDisposed()
    {
        lock (_gate)
        {
            ThrowIfDisposedUnsynchronized();
        }
    }

    private void ThrowIfDisposedUnsynchronized() => ObjectDisposedException.ThrowIf(_disposed, typeof(IAttnManager));
}
