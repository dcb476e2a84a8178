using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Contestants;

namespace LpLlm.Memory.Benchmarks.Threads;

/// <summary>Runs pairs on several threads at once.</summary>
internal static class PairRound
{
    public static PairSample Run(Contestant contestant, long lengthBytes, int threads, int batches)
    {
        using var start = new Barrier(threads);
        var samples = new PairSample[threads];
        var workers = Enumerable.Range(0, threads)
            .Select(index => new Thread(() => samples[index] = RunThread(contestant, lengthBytes, batches, start)))
            .ToList();
        workers.ForEach(worker => worker.Start());
        workers.ForEach(worker => worker.Join());
        return new PairSample(samples.Average(sample => sample.Nanoseconds), samples.Average(sample => sample.GarbageBytes));
    }

    private static PairSample RunThread(Contestant contestant, long lengthBytes, int batches, Barrier start)
    {
        // A new thread's first rents build its caches, in the array pool and in the native allocators.
        contestant.RunPairs(lengthBytes, RunLength.BatchOperations);
        start.SignalAndWait();
        var garbage = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        for (var batch = 0; batch < batches; batch++)
        {
            contestant.RunPairs(lengthBytes, RunLength.BatchOperations);
        }

        var elapsed = Stopwatch.GetElapsedTime(started);
        garbage = GC.GetAllocatedBytesForCurrentThread() - garbage;
        var pairs = (double)batches * RunLength.BatchOperations;
        return new PairSample(elapsed.TotalNanoseconds / pairs, garbage / pairs);
    }
}
