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
            "holes",
            $"pair, {length.FewHoles} holes, ns",
            $"pair, {length.ManyHoles} holes, ns",
            "ratio",
            $"replace, {length.FewHoles} holes, ns",
            $"replace, {length.ManyHoles} holes, ns",
            "ratio",
            "replace, ratio to PinnedPool");
        AddRows(table, HoleShape.Equal, [.. contestants.All, Tlsf(HoleShape.Equal, length)], length);
        AddRows(table, HoleShape.Unequal, [Tlsf(HoleShape.Unequal, length)], length);
        table.Print();
        Console.WriteLine(
            $"Goal: with {length.ManyHoles} holes at most 3 times the cost with {length.FewHoles}. TlsfAllocator is the part of PinnedPool without "
            + "lock, lease and memory.");
    }

    private static AdapterContestant<TlsfAdapter, BlockHandle> Tlsf(HoleShape shape, RunLength length) =>
        new("TlsfAllocator", new TlsfAdapter(new TlsfAllocator(shape.RoomFor(length.ManyHoles))));

    private static void AddRows(MarkdownTable table, HoleShape shape, IReadOnlyList<Contestant> contestants, RunLength length)
    {
        var samples = Interleaved.Measure(
            [.. contestants.SelectMany(contestant => new[] { length.FewHoles, length.ManyHoles }.Select<int, Func<HoleSample>>(
                holes => () => HoleRound.Run(contestant, shape, holes, length.BatchesPerHoleField)))],
            length.WarmUpRounds,
            length.Rounds);
        var pairs = samples.Select(rounds => rounds.Select(sample => sample.PairNanoseconds).ToArray()).ToArray();
        var replacements = samples.Select(rounds => rounds.Select(sample => sample.ReplacementNanoseconds).ToArray()).ToArray();
        for (var i = 0; i < contestants.Count; i++)
        {
            var (few, many) = (2 * i, (2 * i) + 1);
            table.Add(
                $"{shape.Name}, {contestants[i].Name}",
                $"{Statistics.Median(pairs[few]):0.0}",
                $"{Statistics.Median(pairs[many]):0.0}",
                $"{Statistics.MedianRatio(pairs[many], pairs[few]):0.00}",
                $"{Statistics.Median(replacements[few]):0.0}",
                $"{Statistics.Median(replacements[many]):0.0}",
                $"{Statistics.MedianRatio(replacements[many], replacements[few]):0.00}",
                contestants.Count == 1 ? "-" : $"{Statistics.MedianRatio(replacements[many], replacements[1]):0.00}");
        }
    }
}
