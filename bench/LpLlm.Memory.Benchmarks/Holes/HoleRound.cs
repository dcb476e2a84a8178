using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Contestants;

namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>Lays out a heap, measures on it, and takes it down: peers have one heap a process, so two layouts cannot stand side by side.</summary>
internal static class HoleRound
{
    /// <returns>Nanoseconds an operation, one number for each of <see cref="HoleWork.All"/>.</returns>
    public static double[] Run(Contestant contestant, HoleShape shape, int holes, int batches)
    {
        using var field = contestant.LayOut(shape, holes);
        // As many as tenants, so that each has moved about once and the layout is that of use, not of construction.
        field.RunReplacements(Math.Max(holes / 2, RunLength.BatchOperations), int.MaxValue);
        return [.. HoleWork.All.Select(work => Time(work, field, batches))];
    }

    private static double Time(HoleWork work, HoleField field, int batches)
    {
        var started = Stopwatch.GetTimestamp();
        for (var batch = 0; batch < batches; batch++)
        {
            work.Run(field, RunLength.BatchOperations);
        }

        return Stopwatch.GetElapsedTime(started).TotalNanoseconds / ((double)batches * RunLength.BatchOperations);
    }
}
