using System.Threading.Channels;

namespace LpLlm.Memory.Attention;

/// <summary>Computes jobs one after the other, in the order in which they were accepted. Starts with the first job.</summary>
internal sealed class AttnDispatcher
{
    private readonly Lock _gate = new();
    private readonly Channel<AttnJob> _jobs;
    private readonly Func<AttnJob, PinnedTensor<float>> _compute;
    private Task _loop = Task.CompletedTask;
    private bool _started;
    private volatile bool _stopped;

    public AttnDispatcher(int queueLength, Func<AttnJob, PinnedTensor<float>> compute)
    {
        _jobs = Channel.CreateBounded<AttnJob>(new BoundedChannelOptions(queueLength) { SingleReader = true });
        _compute = compute;
    }

    /// <summary>Queues a job; waits while the queue is full.</summary>
    /// <exception cref="ObjectDisposedException">The dispatcher is stopped, or was while waiting.</exception>
    public async ValueTask EnqueueAsync(AttnJob job, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ThrowIfStopped(_stopped);
            if (!_started)
            {
                _started = true;
                _loop = Task.Run(RunAsync, CancellationToken.None);
            }
        }

        try
        {
            await _jobs.Writer.WriteAsync(job, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            ThrowIfStopped(true);
        }
    }

    /// <summary>Accepts no more, fails what waits, and completes when the job that is being computed has ended.</summary>
    public Task StopAsync()
    {
        lock (_gate)
        {
            _stopped = true;
            _jobs.Writer.TryComplete();
            return _loop;
        }
    }

    private static void ThrowIfStopped(bool stopped) => ObjectDisposedException.ThrowIf(stopped, typeof(IAttnManager));

    private async Task RunAsync()
    {
        await foreach (var job in _jobs.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            job.Run(ComputeUnlessStopped);
        }
    }

    private PinnedTensor<float> ComputeUnlessStopped(AttnJob job)
    {
        ThrowIfStopped(_stopped);
        return _compute(job);
    }
}
