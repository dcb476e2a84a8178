using LpLlm.Memory.Benchmarks.Workloads.Auditing;
using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Running;

/// <summary>A named heap that scripts can be run on. One virtual call a script, none inside.</summary>
internal abstract class HeapContestant(string name)
{
    public string Name => name;

    /// <summary>Whether the heap is a range of the script's capacity; otherwise that is only counted, and nothing can be said of its use.</summary>
    public abstract bool HasRange { get; }

    /// <summary>Runs the script on so many threads at once, each with blocks of its own; a fresh heap each time.</summary>
    /// <returns>A sample of each measured phase, taken together over the threads.</returns>
    public abstract IReadOnlyList<PhaseSample> Run(Script script, int threads);

    /// <summary>Runs the script on one thread, not timed, beside the oracle. Only for heaps with a range.</summary>
    /// <returns>The failures in each measured phase.</returns>
    public abstract IReadOnlyList<AuditCount> Audit(Script script);
}
