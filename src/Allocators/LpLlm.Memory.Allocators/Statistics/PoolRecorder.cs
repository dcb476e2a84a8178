namespace LpLlm.Memory.Statistics;

/// <summary>Everything that is counted about one pool. Exists before the pool does, so that asking for figures creates no pool.</summary>
internal sealed class PoolRecorder : IPoolStatistics
{
    private const int RentedBytes = 0;
    private const int ReturnedBytes = 1;
    private const int Waited = 2;
    private const int TimedOut = 3;
    private const int Canceled = 4;
    private const int Refused = 5;
    private const int Error = 6;
    private const int FirstCause = 7;
    private const int FirstHistogram = FirstCause + (int)ExhaustionCause.NoMemory + 1;

    private readonly TimeProvider _time;
    private readonly double _nanosecondsPerTick;
    private readonly StripedCounters _counters = new(FirstHistogram + (3 * LatencyHistogram.CounterCount));
    private readonly LatencyHistogram _rents;
    private readonly LatencyHistogram _asyncRents;
    private readonly LatencyHistogram _returns;

    public PoolRecorder(TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _nanosecondsPerTick = 1e9 / _time.TimestampFrequency;
        _rents = new LatencyHistogram(_counters, FirstHistogram);
        _asyncRents = new LatencyHistogram(_counters, FirstHistogram + LatencyHistogram.CounterCount);
        _returns = new LatencyHistogram(_counters, FirstHistogram + (2 * LatencyHistogram.CounterCount));
    }

    public long Start() => _time.GetTimestamp();

    public void Rented(long started, long lengthBytes)
    {
        _rents.Record(NanosecondsSince(started));
        _counters.Add(RentedBytes, lengthBytes);
    }

    public void RentedAsync(long started, long lengthBytes)
    {
        _asyncRents.Record(NanosecondsSince(started));
        _counters.Add(RentedBytes, lengthBytes);
    }

    public void Returned(long started, long lengthBytes)
    {
        _returns.Record(NanosecondsSince(started));
        _counters.Add(ReturnedBytes, lengthBytes);
    }

    /// <summary>An asynchronous rent that had waited was answered; how long, in seconds.</summary>
    public double WaitEnded(long started)
    {
        _counters.Add(Waited, 1);
        return NanosecondsSince(started) / 1e9;
    }

    public void TryRentRefused() => _counters.Add(Refused, 1);

    /// <summary>A rent threw.</summary>
    /// <param name="failure">What.</param>
    /// <param name="waited">Whether it had waited: then room that could have come did not come in time.</param>
    public void Failed(Exception failure, bool waited = false)
    {
        switch (failure)
        {
            case PinnedMemoryExhaustedException exhausted:
                _counters.Add(FirstCause + (int)exhausted.Cause, 1);
                _counters.Add(TimedOut, waited && exhausted.IsTransient ? 1 : 0);
                break;
            case OperationCanceledException:
                _counters.Add(Canceled, 1);
                break;
            case ArgumentException:
                break;
            default:
                _counters.Add(Error, 1);
                break;
        }
    }

    public PoolStatistics GetStatistics() => new()
    {
        Rent = _rents.Summarize(),
        RentAsync = _asyncRents.Summarize(),
        Return = _returns.Summarize(),
        RentedBytes = _counters.Sum(RentedBytes),
        ReturnedBytes = _counters.Sum(ReturnedBytes),
        WaitedRents = _counters.Sum(Waited),
        TimedOutRents = _counters.Sum(TimedOut),
        CanceledRents = _counters.Sum(Canceled),
        RefusedTryRents = _counters.Sum(Refused),
        FailedByLimit = _counters.Sum(FirstCause + (int)ExhaustionCause.Limit),
        FailedByFragmentation = _counters.Sum(FirstCause + (int)ExhaustionCause.Fragmented),
        FailedByPending = _counters.Sum(FirstCause + (int)ExhaustionCause.Pending),
        FailedByNoMemory = _counters.Sum(FirstCause + (int)ExhaustionCause.NoMemory),
        FailedByError = _counters.Sum(Error),
    };

    private long NanosecondsSince(long started) => (long)((_time.GetTimestamp() - started) * _nanosecondsPerTick);
}
