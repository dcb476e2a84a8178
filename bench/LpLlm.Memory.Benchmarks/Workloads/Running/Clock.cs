using System.Diagnostics;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>What one reading of the clock costs, so that it can be taken off the times of steps.</summary>
internal sealed class Clock
{
    private readonly double _nanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    private Clock(long[] sortedTicks)
    {
        CostNanoseconds = Percentile(sortedTicks, 0.5);
        FloorNanoseconds = Percentile(sortedTicks, 0.99) - CostNanoseconds;
        StepNanoseconds = sortedTicks.FirstOrDefault(ticks => ticks > 0) * _nanosecondsPerTick;
    }

    /// <summary>The median of a reading; taken off each step's time.</summary>
    public double CostNanoseconds { get; }

    /// <summary>By how much one reading in a hundred exceeds the median: a step's time below it is noise of the clock.</summary>
    public double FloorNanoseconds { get; }

    /// <summary>The least time between two different readings, and what all others are about a multiple of.</summary>
    public double StepNanoseconds { get; }

    public static Clock Calibrate()
    {
        var ticks = new long[1_000_000];
        var before = Stopwatch.GetTimestamp();
        for (var i = 0; i < ticks.Length; i++)
        {
            var after = Stopwatch.GetTimestamp();
            ticks[i] = after - before;
            before = after;
        }

        Array.Sort(ticks);
        return new Clock(ticks);
    }

    /// <summary>That percentile of the steps' own times, at least 0.</summary>
    public double NetPercentile(long[] sortedTicks, double share) => Math.Max(0, Percentile(sortedTicks, share) - CostNanoseconds);

    private double Percentile(long[] sortedTicks, double share) =>
        sortedTicks[Math.Min(sortedTicks.Length - 1, (int)(sortedTicks.Length * share))] * _nanosecondsPerTick;
}
