using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Engine;

/// <summary>
/// Who has which memory: sessions, leases, segments, quotas, waiting requests. Does no I/O of its own: memory comes from an
/// <see cref="ISegmentSource"/>, time from a <see cref="TimeProvider"/>. Thread-safe.
/// </summary>
/// <remarks>
/// Errors are <see cref="PoolFaultException"/>s, ready to be sent. A session that is gone, and a lease or segment that is not the caller's, are
/// both <see cref="PoolFaultCode.NotFound"/>: a client cannot find out what others have.
/// One short lock guards all state. What a change sets off (making, clearing and discarding segments, answers, events, logs) runs after it.
/// </remarks>
internal sealed partial class PoolEngine : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly ISegmentSource _source;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Func<Token> _newToken;
    private readonly EngineClock _clock;
    private readonly ITimer _timer;
    private readonly long _started;
    private readonly Dictionary<Token, PoolSession> _sessions = [];
    private readonly LeaseTable _leases = new();
    private readonly SegmentInventory _inventory;
    private readonly AdmissionQueue _queue;
    private readonly QuotaBook _quotas;
    private readonly SharesBook _shares;
    private readonly TrimCoordinator _trims;
    private readonly EventLog _events;

    // What the timer is set to; it scans for what is due, so that a deadline that moved costs one scan and no bookkeeping.
    private long _timerDue = long.MaxValue;
    private long _totalLeases;
    private long _refusedRequests;
    private long _reclaimedLeases;

    /// <param name="settings">Checked by the options they come from.</param>
    /// <param name="source">Where segments come from.</param>
    /// <param name="time">All deadlines are its monotonic ones.</param>
    /// <param name="logger">Gets what an operator must know.</param>
    /// <param name="newToken">Where ids come from; a cryptographic generator unless a test needs them the same each time.</param>
    public PoolEngine(PoolEngineSettings settings, ISegmentSource source, TimeProvider time, ILogger logger, Func<Token>? newToken = null)
    {
        Settings = settings;
        _source = source;
        _time = time;
        _logger = logger;
        _newToken = newToken ?? Token.Create;
        _clock = new EngineClock(time);
        _started = _clock.Now;
        _inventory = new SegmentInventory(settings.SegmentBytes);
        _queue = new AdmissionQueue();
        _quotas = new QuotaBook(settings);
        _shares = new SharesBook(settings);
        _trims = new TrimCoordinator(settings.TrimPatience, _clock);
        _events = new EventLog(settings.EventCapacity, _clock);
        Epoch = _newToken();
        _timer = time.CreateTimer(static engine => ((PoolEngine)engine!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public PoolEngineSettings Settings { get; }

    /// <summary>New with every engine.</summary>
    public Token Epoch { get; }

    public EngineStatistics GetStatistics()
    {
        lock (_lock)
        {
            return new EngineStatistics
            {
                CapacityBytes = Settings.CapacityBytes,
                LeasedBytes = _inventory.LeasedBytes,
                ModelBytes = _shares.ModelBytes,
                IdleBytes = _inventory.IdleBytes,
                PendingBytes = _inventory.PendingBytes,
                PeakLeasedBytes = _inventory.PeakLeasedBytes,
                Sessions = _sessions.Values.Count(session => !session.Options.HoldsModels),
                Leases = _leases.HeldCount,
                Waiting = _queue.Count,
                TotalLeases = _totalLeases,
                RefusedRequests = _refusedRequests,
                TrimRequests = _trims.Requests,
                ReclaimedLeases = _reclaimedLeases,
                Uptime = _clock.Since(_started),
            };
        }
    }

    /// <summary>The latest events, oldest first; of one lease, or all.</summary>
    public IReadOnlyList<EventRecord> GetEvents(ulong? leaseId = null)
    {
        lock (_lock)
        {
            return _events.Get(leaseId);
        }
    }

    private void Change(Action<Deferred> change) => Change(after =>
    {
        change(after);
        return true;
    });

    private T Change<T>(Func<Deferred, T> change)
    {
        var after = new Deferred();
        try
        {
            lock (_lock)
            {
                return change(after);
            }
        }
        finally
        {
            after.Run();
        }
    }

    private void ArmUnsynchronized(long due)
    {
        if (due < _timerDue && !_isDisposed)
        {
            _timerDue = due;
            _timer.Change(_clock.Until(due), Timeout.InfiniteTimeSpan);
        }
    }

    private void OnTimer() => Change(after =>
    {
        if (_isDisposed)
        {
            return;
        }

        _timerDue = long.MaxValue;
        ExpireSessionsUnsynchronized(after);
        ExpireRequestsUnsynchronized(after);
        EndQuarantinesUnsynchronized(after);
        PumpUnsynchronized(after);
        ArmUnsynchronized(_warmRetry);
    });

    private ulong NewIdUnsynchronized()
    {
        ulong id;
        do
        {
            id = _newToken().Low;
        }
        while (id == 0 || _leases.Find(id) is not null);

        return id;
    }
}
