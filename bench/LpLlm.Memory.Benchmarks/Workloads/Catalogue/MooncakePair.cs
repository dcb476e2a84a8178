using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>Mooncake, mooncake-store/benchmarks/allocator_bench.cpp: paired KV cache and indexer blocks (DSA).</summary>
internal static class MooncakePair
{
    private const long KeyValueBytes = 3_274_752;
    private const long IndexerBytes = 643 << 10;
    private const int MaxPerRound = 128;

    public static Workload Workload { get; } = new(
        "mooncake-pair",
        "Mooncake DSA pair: a full pool of 1 TiB; 1 to 128 blocks of 3,274,752 B, then as many of 658,432 B; one that does not fit frees 5 % of all.",
        "A step is an allocation with the frees it takes: one in some 28,000 frees as many. Utilisation is looked at when one does not fit. Goal: "
        + "average at least 0.99. More than half of PinnedPool's mean is the garbage collector, which moves half a million live leases. "
        + "The peers are left out: no machine has 1 TiB of memory for them.",
        length => [new WorkloadCase("KV + indexer", CreateScript(length)) { Peers = Peers.None }]);

    private static Script CreateScript(RunLength length)
    {
        var poolBytes = (1L << 40) / length.Scale / 4096 * 4096;
        // A sixth more than the pool holds: it is full, and was evicted from, before anything is measured.
        var warmUp = (int)(poolBytes * 7 / 6 / ((KeyValueBytes + IndexerBytes) / 2));
        var writer = new ScriptWriter();
        return new Script(poolBytes, [
            new Phase(null, Write(writer, warmUp)),
            new Phase("", Write(writer, length.Scaled(1_000_000)))])
        {
            EvictedShare = 0.05,
            Utilisation = UtilisationMoment.AtFailures,
        };
    }

    private static Step[] Write(ScriptWriter writer, int count)
    {
        int perRound = 0, next = 0;
        return writer.Mix(count, random =>
        {
            if (next == 2 * perRound)
            {
                (perRound, next) = (random.Next(1, MaxPerRound + 1), 0);
            }

            return (StepKind.Allocate, next++ < perRound ? KeyValueBytes : IndexerBytes);
        });
    }
}
