namespace LpLlm.Memory.Attention;

/// <summary>
/// Three stages, each working on another job: copies from the device, arithmetic, copies to the device. Two streams, so that the link is used
/// both ways at once. A job whose tensors lie on the host passes through the middle stage only, in its turn.
/// </summary>
internal sealed class DevicePipeline : IAttnPipeline
{
    /// <summary>Jobs between two stages: with one the stage ahead can work on the next, more would only hold memory longer.</summary>
    private const int JobsBetweenStages = 1;

    /// <summary>What copies that are under way get when the manager is disposed; 5 s is 250 GB at a link's speed.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly IPinnedMemoryPool _pool;
    private readonly AttnRunner _runner;
    private readonly TimeProvider _time;
    private readonly IDeviceStream _in;
    private readonly IDeviceStream _out;
    private readonly AttnStage<AttnJob> _copyIn;
    private readonly AttnStage<AttnJob> _compute;
    private readonly AttnStage<DeviceJob> _copyOut;
    private readonly CancellationTokenSource _stop = new();
    private IDeviceFence? _lastResult;
    private volatile bool _stopping;

    /// <exception cref="PinnedMemoryException">The device refuses a stream.</exception>
    public DevicePipeline(IMemoryDevice device, IPinnedMemoryPool pool, AttnRunner runner, int queueLength, TimeProvider time)
    {
        _pool = pool;
        _runner = runner;
        _time = time;
        _copyIn = new AttnStage<AttnJob>(queueLength, CopyInAsync);
        _compute = new AttnStage<AttnJob>(JobsBetweenStages, ComputeAsync);
        _copyOut = new AttnStage<DeviceJob>(JobsBetweenStages, CopyOutAsync);
        _in = device.CreateStream();
        try
        {
            _out = device.CreateStream();
        }
        catch
        {
            _in.Dispose();
            throw;
        }
    }

    public ValueTask EnqueueAsync(AttnJob job, CancellationToken cancellationToken) => _copyIn.EnqueueAsync(job, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        await using (_time.CreateTimer(_ => _stop.Cancel(), null, StopTimeout, Timeout.InfiniteTimeSpan).ConfigureAwait(false))
        {
            // In this order, so that no stage hands on to one that has stopped.
            await _copyIn.StopAsync().ConfigureAwait(false);
            await _compute.StopAsync().ConfigureAwait(false);
            await _copyOut.StopAsync().ConfigureAwait(false);
        }

        _in.Dispose();
        _out.Dispose();
    }

    private async ValueTask CopyInAsync(AttnJob job)
    {
        if (_stopping)
        {
            job.Refuse(new ObjectDisposedException(typeof(IAttnManager).FullName));
        }

        if (job is not DeviceJob deviceJob || deviceJob.TryCopyIn(_pool, _in))
        {
            await _compute.EnqueueAsync(job, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async ValueTask ComputeAsync(AttnJob job)
    {
        if (job is HostJob hostJob)
        {
            hostJob.Run(_pool, _runner);
        }
        else if (job is DeviceJob deviceJob && await deviceJob.TryComputeAsync(_pool, _runner, _stop.Token).ConfigureAwait(false))
        {
            await _copyOut.EnqueueAsync(deviceJob, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async ValueTask CopyOutAsync(DeviceJob job)
    {
        if (await job.TryCopyOutAsync(_out, _stop.Token).ConfigureAwait(false) is not { } fence)
        {
            return;
        }

        // Two results may be under way, not more: a slow link holds the stages ahead back instead of filling the pool. What failed with the
        // earlier one is its caller's, who has the fence; here it only matters that it is no longer under way.
        var earlier = _lastResult;
        _lastResult = fence;
        if (earlier is not null)
        {
            await earlier.WaitForEndAsync(_stop.Token).ConfigureAwait(false);
        }
    }
}
