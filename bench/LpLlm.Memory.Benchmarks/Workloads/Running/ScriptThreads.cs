using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>Runs a script on several threads of one heap at once.</summary>
internal static class ScriptThreads
{
    /// <returns>A sample of each measured phase: means over the threads, the steps' times of all of them, and the failures of all.</returns>
    public static IReadOnlyList<PhaseSample> Run<THeap, TBlock>(THeap heap, Script script, long limitBytes, int threads)
        where THeap : struct, IHeap<TBlock>
        where TBlock : struct
    {
        using var meet = new Barrier(threads);
        var samples = new IReadOnlyList<PhaseSample>[threads];
        var workers = Enumerable.Range(0, threads)
            .Select(index => new Thread(() => samples[index] = new ScriptThread<THeap, TBlock>(heap, script, limitBytes, meet).Run()))
            .ToList();
        workers.ForEach(worker => worker.Start());
        workers.ForEach(worker => worker.Join());
        return [.. Enumerable.Range(0, samples[0].Count).Select(phase => Together([.. samples.Select(thread => thread[phase])]))];
    }

    /// <summary>One sample for several of the same phase.</summary>
    public static PhaseSample Together(IReadOnlyList<PhaseSample> samples) => new(
        samples.Average(sample => sample.Nanoseconds),
        samples.Average(sample => sample.GarbageBytes),
        [.. samples.SelectMany(sample => sample.Ticks)],
        Utilisation.Together([.. samples.Select(sample => sample.Utilisation).OfType<Utilisation>()]),
        samples.Sum(sample => sample.Failures));
}
