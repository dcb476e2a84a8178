using LpLlm.Memory.Pooling;
using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Wrappers;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Server;

/// <summary>
/// A pool over leased memory, and the one thing that such a pool does more than others: it gives idle slabs back, when the server asks for them
/// and when nothing was rented for a while.
/// </summary>
internal sealed class ServerPool : DelegatingPool
{
    private readonly PinnedPool _pool;
    private readonly ServerMemorySource _source;
    private readonly ILogger _logger;
    private readonly IdleTrim? _idle;
    private int _trimming;

    public ServerPool(PinnedPool pool, ServerMemorySource source, TimeSpan idleTrimAfter, long keepBytes, TimeProvider time, ILogger logger)
        : base(pool)
    {
        _pool = pool;
        _source = source;
        _logger = logger;
        source.TrimRequested = bytes => StartTrim(() => Math.Max(0, pool.GetSnapshot().ReservedBytes - bytes));
        _idle = idleTrimAfter == Timeout.InfiniteTimeSpan
            ? null
            : new IdleTrim(pool.GetSnapshot, keepBytes, idleTrimAfter, () => StartTrim(() => keepBytes), time);
    }

    public override void Dispose()
    {
        StopTrimming();
        try
        {
            base.Dispose();
        }
        finally
        {
            _source.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        StopTrimming();
        try
        {
            await base.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            await _source.DisposeAsync().ConfigureAwait(false);
        }
    }

    private void StopTrimming()
    {
        _source.TrimRequested = null;
        _idle?.Dispose();
    }

    /// <summary>On a thread of its own: it waits behind a growth. One at a time is enough, since the server asks again.</summary>
    private void StartTrim(Func<long> keepBytes)
    {
        if (Interlocked.Exchange(ref _trimming, 1) == 0)
        {
            _ = Task.Run(() => Trim(keepBytes));
        }
    }

    private void Trim(Func<long> keepBytes)
    {
        try
        {
            var trimmed = _pool.Trim(keepBytes());
            if (trimmed > 0)
            {
                IntegrationLog.Trimmed(_logger, Name, ByteSize.Format(trimmed));
            }
        }
        catch (ObjectDisposedException)
        {
            // The pool gives everything back.
        }
        catch (Exception failure)
        {
            IntegrationLog.TrimFailed(_logger, failure, Name);
        }
        finally
        {
            Volatile.Write(ref _trimming, 0);
        }
    }
}
