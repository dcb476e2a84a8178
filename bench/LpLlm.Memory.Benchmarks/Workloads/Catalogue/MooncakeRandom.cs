using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>Mooncake, mooncake-store/benchmarks/allocator_bench.cpp: random sizes.</summary>
internal static class MooncakeRandom
{
    public static Workload Workload { get; } = new(
        "mooncake-random",
        "Mooncake random: a full pool of 2 GiB; blocks of 1 KiB to 64 MiB; each allocation frees random ones until it fits.",
        "A step is an allocation with the frees it takes. Utilisation is looked at after each. Goal: average at least 0.86 (Mooncake's own "
        + "allocator: 0.84). ArrayPool.Shared is left out: it clears what it makes.",
        length => [new WorkloadCase("1 KiB to 64 MiB", CreateScript(length)) { Peers = Peers.Native }]);

    private static Script CreateScript(RunLength length)
    {
        var writer = new ScriptWriter();
        return new Script(2L << 30, [
            // 32 MiB each in the mean, so 64 fill the pool: 1000 leave nothing of the order they came in.
            new Phase(null, writer.Allocate(1000, NextLength)),
            new Phase("", writer.Allocate(length.Scaled(50_000), NextLength))])
        {
            Utilisation = UtilisationMoment.AfterAllocations,
        };
    }

    private static long NextLength(Random random) => random.NextInt64(1 << 10, (64 << 20) + 1);
}
