using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>The books of leak detection: live leases and faults.</summary>
internal sealed class LeakDetector(LeakDetectionOptions options, ILogger logger, TimeProvider? time = null) : ILeakDetector
{
    private const int FaultsKept = 1000;

    private readonly ConcurrentDictionary<LeaseRecord, bool> _live = new();
    private readonly ConcurrentQueue<LeaseFault> _faults = new();
    private long _liveCount;
    private int _faultCount;

    public LeakDetectionOptions Options => options;

    public TimeProvider Time { get; } = time ?? TimeProvider.System;

    public long LiveCount => Interlocked.Read(ref _liveCount);

    public IReadOnlyList<LiveLeaseReport> GetLiveLeases() =>
        [.. _live.Keys.OrderBy(record => record.RentedTimestamp).Select(record => record.Describe())];

    public IReadOnlyList<LeaseFault> GetFaults() => [.. _faults];

    public StackTrace? CaptureStack() => options.CaptureStacks ? new StackTrace(skipFrames: 1, fNeedFileInfo: false) : null;

    public void Add(LeaseRecord record)
    {
        _live.TryAdd(record, true);
        Interlocked.Increment(ref _liveCount);
    }

    public void Remove(LeaseRecord record)
    {
        _live.TryRemove(record, out _);
        Interlocked.Decrement(ref _liveCount);
    }

    public void Report(LeaseFault fault)
    {
        if (Interlocked.Increment(ref _faultCount) <= FaultsKept)
        {
            _faults.Enqueue(fault);
        }

        AllocatorsLog.LeaseFault(
            logger,
            fault.PoolName,
            fault.Kind,
            fault.LengthBytes,
            fault.Address,
            fault.DamageOffsetBytes,
            fault.RentedAt,
            fault.ReturnedAt,
            fault.ReturnedAgainAt);
    }

    /// <summary>Reports every live lease as a fault, and describes the first ones.</summary>
    public string ReportLiveAtDisposal(int most)
    {
        var records = _live.Keys.OrderBy(record => record.RentedTimestamp).ToList();
        records.ForEach(record => record.Report(LeaseFaultKind.LiveAtDisposal));
        return string.Concat(records.Take(most).Select(record => record.Describe()).Select(lease =>
            $"{Environment.NewLine}{lease.LengthBytes} B at {lease.Address:x}, {lease.Age.TotalSeconds:0.###} s old"
            + $"{(lease.IsDropped ? ", dropped" : "")}, rented on thread {lease.ThreadId} at:{Environment.NewLine}"
            + (lease.RentedAt ?? "(CaptureStacks is off)")));
    }
}
