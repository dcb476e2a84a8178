using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>How long until a pool of gigabytes is resident and page-locked, and until it is gone.</summary>
internal static class CreateRun
{
    private static readonly ICreation[] Creations = [new PoolCreation(), new TouchCreation(), new AdviseCreation()];

    public static void Run(RunLength length)
    {
        var table = new MarkdownTable("create and destroy", "create, ms", "ratio to PinnedPool", "destroy, ms", "ratio to PinnedPool");
        foreach (var lengthBytes in length.PoolBytes)
        {
            AddRowsIfPossible(table, lengthBytes, length.PoolRounds);
        }

        table.Print();
        Console.WriteLine("No goal: to be read beside the peers. A ratio below 1 is faster than PinnedPool.");
    }

    private static void AddRowsIfPossible(MarkdownTable table, long lengthBytes, int rounds)
    {
        try
        {
            new MemoryBudget().EnsureAvailable(lengthBytes); // the peers do not ask, and would be killed
            AddRows(table, lengthBytes, rounds);
        }
        catch (MemorySourceException refusal)
        {
            Console.WriteLine($"Notice: {ByteSize.Format(lengthBytes)} is left out: {refusal.Message}");
        }
    }

    private static void AddRows(MarkdownTable table, long lengthBytes, int rounds)
    {
        // One round is not counted: a virtual machine's host gives memory at its first touch, 2 s a GiB, and keeps it there.
        var samples = Interleaved.Measure(
            [.. Creations.Select<ICreation, Func<CreationSample>>(creation => () => Time(creation, lengthBytes))], warmUpRounds: 1, rounds);
        var creates = samples.Select(all => all.Select(sample => sample.CreateMilliseconds).ToArray()).ToArray();
        var destroys = samples.Select(all => all.Select(sample => sample.DestroyMilliseconds).ToArray()).ToArray();
        for (var i = 0; i < Creations.Length; i++)
        {
            table.Add(
                $"{ByteSize.Format(lengthBytes)}, {Creations[i].Name}",
                $"{Medians.Median(creates[i]):0.0}",
                $"{Medians.MedianRatio(creates[i], creates[0]):0.00}",
                $"{Medians.Median(destroys[i]):0.0}",
                $"{Medians.MedianRatio(destroys[i], destroys[0]):0.00}");
        }
    }

    private static CreationSample Time(ICreation creation, long lengthBytes)
    {
        var started = Stopwatch.GetTimestamp();
        var memory = creation.Create(lengthBytes);
        var created = Stopwatch.GetTimestamp();
        memory.Dispose();
        return new CreationSample(
            Stopwatch.GetElapsedTime(started, created).TotalMilliseconds, Stopwatch.GetElapsedTime(created).TotalMilliseconds);
    }
}
