using System.Threading.Channels;

namespace LpLlm.Memory.Attention;

/// <summary>Handles jobs one after the other, in the order in which they came. Starts with the first job.</summary>
/// <param name="queueLength">Jobs that may wait, at least 1.</param>
/// <param name="handle">Handles a job; every failure is the job's own, none gets out.</param>
internal sealed class AttnStage<TJob>(int queueLength, Func<TJob, ValueTask> handle)
    where TJob : AttnJob
{
    private readonly Lock _gate = new();
    private readonly Channel<TJob> _jobs = Channel.CreateBounded<TJob>(new BoundedChannelOptions(queueLength) { SingleReader = true });
    private Task _loop = Task.CompletedTask;
    private bool _started;
    private bool _stopped;

    /// <summary>Queues a job; waits while the queue is full.</summary>
    /// <exception cref="ObjectDisposedException">The stage is stopped, or was while waiting.</exception>
    public async ValueTask EnqueueAsync(TJob job, CancellationToken cancellationToken)
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

    /// <summary>Accepts no more, and completes when all that was accepted has been handled.</summary>
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
            await handle(job).ConfigureAwait(false);
        }
    }
}
