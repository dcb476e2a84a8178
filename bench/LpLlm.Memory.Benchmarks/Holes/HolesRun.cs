using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>Does the cost of a rent depend on how many holes the heap has?</summary>
internal static class HolesRun
{
    public static void Run(RunLength length)
    {
        var poolBytes = HoleShape.Equal.RoomFor(length.ManyHoles);
        // The peers need about as much, after another: a pool page-locks its part, they touch theirs.
        var (available, limitName) = new MemoryBudget().GetAvailable();
        if (2 * poolBytes > available - MemoryBudget.HeadroomBytes)
        {
            Console.WriteLine(
                $"Notice: holes is left out: it needs {ByteSize.Format(2 * poolBytes)}; {ByteSize.Format(available)} are left under {limitName}.");
            return;
        }

        using var contestants = ContestantList.Open(poolBytes, withArrayPool: false);
        var table = new MarkdownTable(
            "holes, contestant, work", $"{length.FewHoles} holes, ns", $"{length.ManyHoles} holes, ns", "ratio", "ratio to PinnedPool");
        AddRows(table, HoleShape.Equal, [.. contestants.All, Tlsf(HoleShape.Equal, length)], length);
        AddRows(table, HoleShape.Unequal, [Tlsf(HoleShape.Unequal, length)], length);
        table.Print();
        Console.WriteLine(
            $"Goal: with {length.ManyHoles} holes at most 3 times the cost with {length.FewHoles}. TlsfAllocator is PinnedPool less lock, lease and "
            + "memory. The last work also meets cold memory: blocks, leases and nodes that left the caches.");
    }

    private static AdapterContestant<TlsfAdapter, BlockHandle> Tlsf(HoleShape shape, RunLength length) =>
        new("TlsfAllocator", new TlsfAdapter(new TlsfAllocator(shape.RoomFor(length.ManyHoles))));

    private static void AddRows(MarkdownTable table, HoleShape shape, IReadOnlyList<Contestant> contestants, RunLength length)
    {
        var samples = Interleaved.Measure(
            [.. contestants.SelectMany(contestant => new[] { length.FewHoles, length.ManyHoles }.Select<int, Func<double[]>>(
                holes => () => HoleRound.Run(contestant, shape, holes, length.BatchesPerHoleField)))],
            length.WarmUpRounds,
            length.Rounds);
        for (var work = 0; work < HoleWork.All.Count; work++)
        {
            var pool = TimesOf(1, work);
            for (var i = 0; i < contestants.Count; i++)
            {
                var few = TimesOf(2 * i, work);
                var many = TimesOf((2 * i) + 1, work);
                table.Add(
                    $"{shape.Name}, {contestants[i].Name}, {HoleWork.All[work].Name}",
                    $"{Medians.Median(few):0.0}",
                    $"{Medians.Median(many):0.0}",
                    $"{Medians.MedianRatio(many, few):0.00}",
                    contestants.Count == 1 ? "-" : $"{Medians.MedianRatio(many, pool):0.00}");
            }
        }

        double[] TimesOf(int heap, int work) => [.. samples[heap].Select(times => times[work])];
    }
}
