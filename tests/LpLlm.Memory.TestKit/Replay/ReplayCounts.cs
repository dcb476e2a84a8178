using System.Diagnostics;

namespace LpLlm.Memory.TestKit.Replay;

/// <summary>What one thread of a replay counts. Only that thread writes.</summary>
internal sealed class ReplayCounts(int operations)
{
    private readonly long[] _ticks = new long[operations];
    private int _measured;
    private long _garbage;
    private long _garbageBefore;
    private long _started;
    private long _genuineFailures;
    private long _newFailures;
    private double _lowestUtilisation = double.MaxValue;
    private double _utilisations;

    public long Rents { get; set; }

    public long Returns { get; set; }

    public long AvoidedFailures { get; set; }

    public void Start()
    {
        _garbageBefore = GC.GetAllocatedBytesForCurrentThread();
        _started = Stopwatch.GetTimestamp();
    }

    public void Stop()
    {
        _ticks[_measured++] = Stopwatch.GetTimestamp() - _started;
        _garbage += GC.GetAllocatedBytesForCurrentThread() - _garbageBefore;
    }

    public void CountFailure(bool inTrace, double utilisation)
    {
        _genuineFailures += inTrace ? 1 : 0;
        _newFailures += inTrace ? 0 : 1;
        _lowestUtilisation = Math.Min(_lowestUtilisation, utilisation);
        _utilisations += utilisation;
    }

    public static ReplayResult Sum(IReadOnlyList<ReplayCounts> all, long peakBytes, TimeSpan elapsed)
    {
        double[] nanoseconds = [.. all.SelectMany(counts => counts._ticks.Take(counts._measured))
            .Select(ticks => ticks * 1e9 / Stopwatch.Frequency).Order()];
        var failures = all.Sum(counts => counts._genuineFailures + counts._newFailures);
        return new ReplayResult
        {
            Rents = all.Sum(counts => counts.Rents),
            Returns = all.Sum(counts => counts.Returns),
            GenuineFailures = all.Sum(counts => counts._genuineFailures),
            AvoidedFailures = all.Sum(counts => counts.AvoidedFailures),
            NewFailures = all.Sum(counts => counts._newFailures),
            PeakBytes = peakBytes,
            UtilisationAtFailures = failures == 0
                ? null
                : (all.Min(counts => counts._lowestUtilisation), all.Sum(counts => counts._utilisations) / failures),
            Nanoseconds = nanoseconds,
            GarbageBytesPerOperation = nanoseconds.Length == 0 ? 0 : (double)all.Sum(counts => counts._garbage) / nanoseconds.Length,
            Elapsed = elapsed,
        };
    }
}
