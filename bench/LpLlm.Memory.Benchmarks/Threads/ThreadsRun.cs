using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;

namespace LpLlm.Memory.Benchmarks.Threads;

/// <summary>Rent, touch and dispose on one and on two threads, beside the peers.</summary>
internal static class ThreadsRun
{
    private const long PoolBytes = 64L << 20;
    private static readonly long[] Lengths = [4 << 10, 64 << 10, 1 << 20];

    public static void Run(RunLength length)
    {
        using var contestants = ContestantList.Open(PoolBytes, withArrayPool: true);
        var table = new MarkdownTable("rent + touch + dispose", "threads", "ns per pair", "ratio to PinnedPool", "garbage B per pair");
        foreach (var lengthBytes in Lengths)
        {
            foreach (var threads in (int[])[1, 2])
            {
                AddRows(table, contestants.All, lengthBytes, threads, length);
            }
        }

        table.Print();
        Console.WriteLine("Goals: PinnedPool at most 60 ns and at most 64 B of garbage per rent. A ratio below 1 is faster than PinnedPool.");
    }

    private static void AddRows(
        MarkdownTable table, IReadOnlyList<Contestant> contestants, long lengthBytes, int threads, RunLength length)
    {
        var samples = Interleaved.Measure(
            [.. contestants.Select<Contestant, Func<PairSample>>(
                contestant => () => PairRound.Run(contestant, lengthBytes, threads, length.BatchesPerThread))],
            length.WarmUpRounds,
            length.Rounds);
        var times = samples.Select(rounds => rounds.Select(sample => sample.Nanoseconds).ToArray()).ToArray();
        for (var i = 0; i < contestants.Count; i++)
        {
            table.Add(
                $"{ByteSize.Format(lengthBytes)}, {contestants[i].Name}",
                $"{threads}",
                $"{Statistics.Median(times[i]):0.0}",
                $"{Statistics.MedianRatio(times[i], times[0]):0.00}",
                $"{Statistics.Median(samples[i].Select(sample => sample.GarbageBytes)):0.0}");
        }
    }
}
