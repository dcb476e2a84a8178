using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>Runs a whole script on the calling thread: all phases without timing steps, then all again with.</summary>
/// <param name="heap">Shared by all threads of the run.</param>
/// <param name="script">What to do.</param>
/// <param name="limitBytes">See <see cref="ScriptRunner{THeap,TBlock}"/>.</param>
/// <param name="meet">All threads of the run meet before each phase.</param>
internal sealed class ScriptThread<THeap, TBlock>(THeap heap, Script script, long limitBytes, Barrier meet)
    where THeap : struct, IHeap<TBlock>
    where TBlock : struct
{
    private readonly ScriptRunner<THeap, TBlock> _runner = new(heap, script, limitBytes);

    /// <returns>A sample of each measured phase.</returns>
    public IReadOnlyList<PhaseSample> Run()
    {
        var untimed = RunPass(RunUntimed);
        var timed = RunPass(RunTimed);
        return [.. untimed.Zip(timed, (mean, each) => mean with { Ticks = each.Ticks })];
    }

    private List<PhaseSample> RunPass(Func<Step[], PhaseSample> measure)
    {
        var samples = new List<PhaseSample>();
        foreach (var phase in script.Phases)
        {
            meet.SignalAndWait();
            if (phase.IsMeasured)
            {
                _runner.ForgetCounts();
                samples.Add(measure(phase.Steps));
            }
            else
            {
                _runner.Run(phase.Steps);
            }
        }

        _runner.ReturnAll();
        return samples;
    }

    private PhaseSample RunUntimed(Step[] steps)
    {
        var garbage = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        for (var at = 0; at < steps.Length; at += RunLength.BatchOperations)
        {
            _runner.Run(steps.AsSpan(at, Math.Min(RunLength.BatchOperations, steps.Length - at)));
        }

        var elapsed = Stopwatch.GetElapsedTime(started);
        garbage = GC.GetAllocatedBytesForCurrentThread() - garbage;
        Utilisation? utilisation = _runner.Utilisation.Moments > 0 ? Utilisation.Of(_runner.Utilisation, script.CapacityBytes) : null;
        return new PhaseSample(
            elapsed.TotalNanoseconds / steps.Length, (double)garbage / steps.Length, [], utilisation, _runner.Failures);
    }

    private PhaseSample RunTimed(Step[] steps)
    {
        var ticks = new long[steps.Length];
        for (var at = 0; at < steps.Length; at += RunLength.BatchOperations)
        {
            var count = Math.Min(RunLength.BatchOperations, steps.Length - at);
            _runner.RunTimed(steps.AsSpan(at, count), ticks.AsSpan(at, count));
        }

        return new PhaseSample(0, 0, ticks, null, 0);
    }
}
