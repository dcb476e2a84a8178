using LpLlm.Memory.Benchmarks.Workloads.Scripts;

namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>Mooncake, mooncake-store/benchmarks/allocator_bench.cpp: uniform sizes.</summary>
internal static class MooncakeUniform
{
    private const long PoolBytes = 2L << 30;

    /// <summary>Smaller blocks than this are rounded up by more than 1 %, to units of 256 B: the goal is for those from here on.</summary>
    private const long SmallBytes = 32 << 10;

    private static readonly (string Name, Func<long, long> Change)[] Families =
    [
        ("32 B x 4^n", size => size),
        ("less 17 B", size => size - 17),
        ("plus 17 B", size => size + 17),
        ("x 0.9", size => size * 9 / 10),
        ("x 1.1", size => size * 11 / 10),
    ];

    public static Workload Workload { get; } = new(
        "mooncake-uniform",
        "Mooncake uniform: a full pool of blocks of one size; each allocation frees random ones until it fits. Sizes 32 B x 4^n up to 32 MiB.",
        "A step is an allocation with the frees it takes. Utilisation is looked at after each. Goal: average at least 0.99 from 32 KiB on; "
        + "below, units of 256 B show. Pool: 2 GiB, less for small blocks, so that no more than 16,384 live. ArrayPool.Shared is left out: it "
        + "clears what it makes.",
        length => [.. Families.SelectMany(family => (WorkloadCase[])
        [
            Create($"below 32 KiB, {family.Name}", Sizes().Where(size => size < SmallBytes).Select(family.Change), length),
            Create($"32 KiB on, {family.Name}", Sizes().Where(size => size >= SmallBytes).Select(family.Change), length),
        ])]);

    private static IEnumerable<long> Sizes()
    {
        for (long size = 32; size < 1 << 26; size *= 4)
        {
            yield return size;
        }
    }

    private static WorkloadCase Create(string name, IEnumerable<long> sizes, RunLength length) =>
        new(name, [.. sizes.Select(size => CreateScript(size, length))]) { Peers = Peers.Native };

    private static Script CreateScript(long size, RunLength length)
    {
        var writer = new ScriptWriter();
        // A multiple of a page, as pools are.
        var poolBytes = Math.Min(PoolBytes, ((size * length.Scaled(16_384)) + 4095) / 4096 * 4096);
        return new Script(poolBytes, [
            new Phase(null, writer.Allocate((int)(poolBytes / size), _ => size)),
            new Phase("", writer.Allocate(length.Scaled(10_000), _ => size))])
        {
            Utilisation = UtilisationMoment.AfterAllocations,
        };
    }
}
