using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;

namespace LpLlm.Memory.Benchmarks.Threads;

/// <summary>Rent, touch and dispose on one and on two threads, beside the peers.</summary>
internal static class ThreadsRun
{
    private const long PoolBytes = 64L << 20;
    private static readonly long[] Lengths = [4 << 10, 64 << 10, 1 << 20];
    private static readonly int[] ThreadCounts = [1, 2];

    public static void Run(RunLength length)
    {
        using var contestants = ContestantList.Open(PoolBytes, withArrayPool: true);
        using var withoutCaches = BenchmarkPool.OpenWithoutThreadCaches(PoolBytes);
        var table = new MarkdownTable(
            "rent + touch + dispose",
            "1 thread, ns",
            "ratio to PinnedPool",
            "2 threads, ns",
            "ratio to PinnedPool",
            "2 threads' rate to 1's",
            "garbage B");
        foreach (var lengthBytes in Lengths)
        {
            using var fixedBlocks = BenchmarkPool.OpenFixedBlocks(PoolBytes, lengthBytes);
            AddRows(
                table,
                [
                    .. contestants.All,
                    new AdapterContestant<PinnedPoolAdapter, LeaseBlock>("PinnedPool, no thread caches", new(withoutCaches)),
                    new AdapterContestant<PinnedPoolAdapter, LeaseBlock>("FixedBlockPool", new(fixedBlocks)),
                    new AdapterContestant<LeaseOnlyAdapter, LeaseBlock>("(lease object alone)", new(new NoOwner())),
                ],
                lengthBytes,
                length);
        }

        table.Print();
        Console.WriteLine(
            "Goals: PinnedPool at most 60 ns and 64 B of garbage per rent; from a thread's cache 15 ns (fixed blocks 10 ns) plus the lease object "
            + "(its row); two threads together at least 1.6 times the rate of one. ns are what a pair takes each thread. A ratio to PinnedPool below "
            + "1 is faster than it.");
    }

    private static void AddRows(MarkdownTable table, IReadOnlyList<Contestant> contestants, long lengthBytes, RunLength length)
    {
        var samples = Interleaved.Measure(
            [.. contestants.SelectMany(contestant => ThreadCounts.Select<int, Func<PairSample>>(
                threads => () => PairRound.Run(contestant, lengthBytes, threads, length.BatchesPerThread)))],
            length.WarmUpRounds,
            length.Rounds);
        for (var i = 0; i < contestants.Count; i++)
        {
            var one = TimesOf(i, 1);
            var two = TimesOf(i, 2);
            table.Add(
                $"{ByteSize.Format(lengthBytes)}, {contestants[i].Name}",
                $"{Medians.Median(one):0.0}",
                $"{Medians.MedianRatio(one, TimesOf(0, 1)):0.00}",
                $"{Medians.Median(two):0.0}",
                $"{Medians.MedianRatio(two, TimesOf(0, 2)):0.00}",
                $"{2 * Medians.MedianRatio(one, two):0.00}",
                $"{Medians.Median(samples[2 * i].Select(sample => sample.GarbageBytes)):0.0}");
        }

        double[] TimesOf(int contestant, int threads) =>
            [.. samples[(2 * contestant) + threads - 1].Select(sample => sample.Nanoseconds)];
    }
}
