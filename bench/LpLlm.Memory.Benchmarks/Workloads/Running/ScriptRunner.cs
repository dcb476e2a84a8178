using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Workloads.Heaps;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>One thread's part in a workload: does the steps and keeps the live blocks.</summary>
/// <param name="heap">Where blocks come from.</param>
/// <param name="script">What the steps belong to.</param>
/// <param name="limitBytes">Requested bytes after which an allocation counts as failed: a heap without a range of its own gets the script's.</param>
internal sealed class ScriptRunner<THeap, TBlock>(THeap heap, Script script, long limitBytes)
    where THeap : struct, IHeap<TBlock>
    where TBlock : struct
{
    private readonly THeap _heap = heap;
    private readonly TBlock[] _live = new TBlock[script.MostLiveBlocks];
    private readonly long[] _lengths = new long[script.MostLiveBlocks];
    private int _count;
    private long _used;

    public UtilisationSum Utilisation { get; private set; }

    public long Failures { get; private set; }

    public void ForgetCounts() => (Utilisation, Failures) = (default, 0);

    public void Run(ReadOnlySpan<Step> steps)
    {
        foreach (ref readonly var step in steps)
        {
            Do(step);
        }
    }

    /// <summary>As <see cref="Run"/>, with the time of each step; it includes one reading of the clock.</summary>
    public void RunTimed(ReadOnlySpan<Step> steps, Span<long> ticks)
    {
        var before = Stopwatch.GetTimestamp();
        for (var i = 0; i < steps.Length; i++)
        {
            Do(steps[i]);
            var after = Stopwatch.GetTimestamp();
            ticks[i] = after - before;
            before = after;
        }
    }

    public void ReturnAll()
    {
        while (_count > 0)
        {
            Free(_count - 1);
        }
    }

    private void Do(in Step step)
    {
        if (step.Kind != StepKind.Allocate)
        {
            FreePicked(step.Pick);
        }

        if (step.Kind != StepKind.Free)
        {
            Allocate(step);
        }
    }

    private void Allocate(in Step step)
    {
        TBlock block;
        var pick = step.Pick;
        while (_used + step.LengthBytes > limitBytes || !_heap.TryTake(step.LengthBytes, script.AlignmentBytes, out block))
        {
            if (_count == 0)
            {
                throw new InvalidOperationException($"{step.LengthBytes} B find no room though this thread holds nothing.");
            }

            Failures++;
            if (script.Utilisation == UtilisationMoment.AtFailures)
            {
                Utilisation = Utilisation.Plus(_used);
            }

            for (var evictions = Math.Max(1, (int)(_count * script.EvictedShare)); evictions > 0; evictions--)
            {
                // Knuth's generator, seeded by the step: as many victims as it takes, the same for every contestant.
                pick = (pick * 1_664_525) + 1_013_904_223;
                FreePicked(pick);
            }
        }

        _live[_count] = block;
        _lengths[_count++] = step.LengthBytes;
        _used += step.LengthBytes;
        if (script.Utilisation == UtilisationMoment.AfterAllocations)
        {
            Utilisation = Utilisation.Plus(_used);
        }
    }

    private void FreePicked(uint pick) => Free((int)(((ulong)pick * (uint)_count) >> 32));

    /// <summary>Gives one block back; the last one takes its place.</summary>
    private void Free(int victim)
    {
        var block = _live[victim];
        _used -= _lengths[victim];
        _count--;
        _live[victim] = _live[_count];
        _lengths[victim] = _lengths[_count];
        _heap.Return(block);
    }
}
