using LpLlm.Memory.Pooling;
using LpLlm.Memory.Transport.Client;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Server;

/// <summary>
/// A pool over leased memory, and the one thing that such a pool does more than others: it gives idle slabs back, when the server asks for them
/// and when nothing was rented for a while. What the server takes away is offered until it is back: slabs become idle one by one.
/// </summary>
internal sealed partial class ServerPool : PinnedPool, IServerPool
{
    private static readonly TimeSpan RevokedPeriod = TimeSpan.FromSeconds(5);

    private readonly ServerMemorySource _source;
    private readonly ILogger _logger;
    private readonly IdleTrim? _idle;
    private readonly ITimer _offerAgain;
    private int _trimming;

    public ServerPool(
        PinnedPoolSettings settings, ServerMemorySource source, TimeSpan idleTrimAfter, TimeProvider time, ILogger logger)
        : base(settings, source, logger, time)
    {
        _source = source;
        _logger = logger;
        _offerAgain = time.CreateTimer(_ => StartTrim(0), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        source.TrimRequested = bytes => GiveBack(Kept(GetSnapshot().ReservedBytes, bytes, settings.SlabBytes));
        _idle = idleTrimAfter == Timeout.InfiniteTimeSpan
            ? null
            : new IdleTrim(GetSnapshot, settings.InitialBytes, idleTrimAfter, () => StartTrim(settings.InitialBytes), time);
    }

    /// <summary>What to keep of a pool that gives back in whole slabs, so that what is asked for comes.</summary>
    internal static long Kept(long reservedBytes, long wantedBytes, long slabBytes)
    {
        var slabs = ((wantedBytes - 1) / slabBytes) + 1;
        return slabs > reservedBytes / slabBytes ? 0 : reservedBytes - (slabs * slabBytes);
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
        _offerAgain.Dispose();
    }

    /// <summary>On a thread of its own: it waits behind a growth. One at a time is enough for a timer, since it comes again.</summary>
    private void StartTrim(long keepBytes)
    {
        if (Interlocked.Exchange(ref _trimming, 1) == 0)
        {
            _ = Task.Run(() =>
            {
                GiveBack(keepBytes);
                Volatile.Write(ref _trimming, 0);
            });
        }
    }

    private void GiveBack(long keepBytes)
    {
        try
        {
            var trimmed = Trim(keepBytes);
            if (trimmed > 0)
            {
                IntegrationLog.Trimmed(_logger, Name, ByteSize.Format(trimmed));
            }
        }
        catch (ObjectDisposedException)
        {
            return; // the pool gives everything back
        }
        catch (Exception failure)
        {
            IntegrationLog.TrimFailed(_logger, failure, Name);
        }

        if (_source.HoldsRevoked)
        {
            _offerAgain.Change(RevokedPeriod, Timeout.InfiniteTimeSpan);
        }
    }
}
