using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>RMM, cpp/benchmarks/random_allocations: 10000 allocations of at most 1 MiB.</summary>
internal static class RandomAllocations
{
    private const long MaxUsedBytes = 16_000L << 20;

    public static Workload Workload { get; } = new(
        "random-allocations",
        "RMM RandomAllocations 10000/1: 73 % allocations of 1 B to 1 MiB until there were 10,000, else frees of random blocks; 20,000 steps.",
        "A step is an allocation or a free. ArrayPool.Shared is left out: up to 5 GiB live, and it clears what it makes.",
        length => [new WorkloadCase("1 B to 1 MiB", CreateScript(length.Scaled(10_000))) { Peers = Peers.Native }]);

    private static Script CreateScript(int allocations)
    {
        var done = 0;
        var live = 0;
        var steps = new ScriptWriter().Mix(2 * allocations, random =>
        {
            if (live == 0 || (done < allocations && random.Next(100) < 73))
            {
                done++;
                live++;
                return (StepKind.Allocate, random.NextInt64(1, (1 << 20) + 1));
            }

            live--;
            return (StepKind.Free, 0);
        });
        // Once before: the allocators' tables have their size then.
        return new Script(MaxUsedBytes, [new Phase(null, steps), new Phase("", steps)]);
    }
}
