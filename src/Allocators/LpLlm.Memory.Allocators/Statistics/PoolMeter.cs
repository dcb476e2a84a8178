using System.Diagnostics.Metrics;

namespace LpLlm.Memory.Statistics;

/// <summary>
/// A pool's instruments, in OpenTelemetry's terms. All but the wait time are observed: they cost nothing until somebody collects them.
/// </summary>
/// <remarks>
/// Each pool has a meter of its own, of one name: disposing it takes the pool's instruments away, where a meter shared through
/// the factory would keep them, and with them the pool, until the host ends. It carries the factory as its scope, as the factory's own do.
/// </remarks>
internal sealed class PoolMeter : IDisposable
{
    public const string MeterName = "LpLlm.Memory";

    private readonly Meter _meter;
    private readonly Histogram<double> _waitTime;
    private readonly KeyValuePair<string, object?> _pool;

    public PoolMeter(IPinnedMemoryPool pool, IPoolStatistics statistics, IMeterFactory? factory)
    {
        _pool = new("lpllm.pool.name", pool.Name);
        _meter = new Meter(new MeterOptions(MeterName) { Scope = factory });
        _waitTime = _meter.CreateHistogram<double>("lpllm.pool.wait_time", "s", "Time that asynchronous rents waited for their answer.");
        _meter.CreateObservableUpDownCounter("lpllm.pool.usage", () => Usage(pool.GetSnapshot()), "By", "Bytes of the pool by state.");
        _meter.CreateObservableUpDownCounter(
            "lpllm.pool.limit", () => One(pool.GetSnapshot().CapacityBytes), "By", "The most bytes the pool may hold.");
        _meter.CreateObservableUpDownCounter("lpllm.pool.leases", () => One(pool.GetSnapshot().LiveLeases), "{lease}", "Leases out.");
        _meter.CreateObservableUpDownCounter(
            "lpllm.pool.pending_requests", () => One(pool.GetSnapshot().WaitingRents), "{request}", "Rents that wait for room.");
        _meter.CreateObservableCounter("lpllm.pool.rented", () => One(statistics.GetStatistics().RentedBytes), "By", "Bytes rented so far.");
        _meter.CreateObservableCounter(
            "lpllm.pool.timeouts", () => One(statistics.GetStatistics().TimedOutRents), "{timeout}", "Rents whose deadline passed.");
        _meter.CreateObservableCounter(
            "lpllm.pool.failures", () => Failures(statistics.GetStatistics()), "{request}", "Rents that got no memory, by cause.");
    }

    public void RecordWait(double seconds)
    {
        if (_waitTime.Enabled)
        {
            _waitTime.Record(seconds, _pool);
        }
    }

    public void Dispose() => _meter.Dispose();

    private Measurement<long> One(long value) => new(value, _pool);

    private Measurement<long>[] Usage(PoolSnapshot snapshot) =>
    [
        Tagged(snapshot.UsedBytes, "lpllm.pool.state", "used"),
        Tagged(snapshot.PendingBytes, "lpllm.pool.state", "pending"),
        Tagged(snapshot.CachedBytes, "lpllm.pool.state", "cached"),
        Tagged(snapshot.QuarantinedBytes, "lpllm.pool.state", "quarantined"),
        Tagged(snapshot.FreeBytes, "lpllm.pool.state", "free"),
    ];

    private Measurement<long>[] Failures(PoolStatistics statistics) =>
    [
        Tagged(statistics.FailedByLimit, "error.type", "limit"),
        Tagged(statistics.FailedByFragmentation, "error.type", "fragmented"),
        Tagged(statistics.FailedByPending, "error.type", "pending"),
        Tagged(statistics.FailedByNoMemory, "error.type", "no_memory"),
        Tagged(statistics.FailedByError, "error.type", "error"),
        Tagged(statistics.RefusedTryRents, "error.type", "refused"),
    ];

    private Measurement<long> Tagged(long value, string key, string tag) => new(value, _pool, new(key, tag));
}
