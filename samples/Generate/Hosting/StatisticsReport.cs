using System.Globalization;
using Spectre.Console;

namespace LpLlm.Memory.Samples.Generate.Hosting;

/// <summary>Writes what a run took, and what it took from the pool.</summary>
internal static class StatisticsReport
{
    public static void Write(RunStatistics statistics)
    {
        var rate = statistics.TokensPerSecond is { } perSecond ? $"{Number(perSecond)} tokens per second" : "too few for a rate";
        Console.WriteLine();
        Console.WriteLine();
        var load = $"{ByteSize.Format(statistics.WeightBytes)} of weights, {Number(statistics.LoadedGigabytesPerSecond)} GB/s";
        Console.WriteLine($"Load time            {Number(statistics.LoadTime.TotalMilliseconds)} ms ({load})");
        Console.WriteLine($"Time to first token  {Number(statistics.TimeToFirstToken.TotalMilliseconds)} ms");
        Console.WriteLine($"Generation           {statistics.TokenCount} tokens, {rate}");
        Console.Out.Flush();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Out) });
        foreach (var pool in statistics.Pools)
        {
            console.Write(TableOf(pool));
        }
    }

    private static Table TableOf(PoolState pool)
    {
        var snapshot = pool.Snapshot;
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumns(new TableColumn($"Pool '{pool.Name}'"), new TableColumn("after the last token").RightAligned());
        (string Name, string Value)[] rows =
        [
            ("Page-locked", IsPageLocked(pool)),
            ("Capacity", ByteSize.Format(snapshot.CapacityBytes)),
            ("Reserved", ByteSize.Format(snapshot.ReservedBytes)),
            ("Used", ByteSize.Format(snapshot.UsedBytes)),
            ("Most used", ByteSize.Format(snapshot.PeakUsedBytes)),
            ("Pending", ByteSize.Format(snapshot.PendingBytes)),
            ("Cached", ByteSize.Format(snapshot.CachedBytes)),
            ("Free", ByteSize.Format(snapshot.FreeBytes)),
            ("Largest free", ByteSize.Format(snapshot.LargestFreeBytes)),
            ("Leases now", snapshot.LiveLeases.ToString(CultureInfo.InvariantCulture)),
            ("Leases so far", snapshot.TotalRents.ToString(CultureInfo.InvariantCulture)),
        ];
        foreach (var (name, value) in rows)
        {
            table.AddRow(new Text(name), new Text(value));
        }

        return table;
    }

    private static string IsPageLocked(PoolState pool) =>
        pool.Capabilities.HasFlag(PoolCapabilities.PageLocked) ? "yes" : $"no: {ByteSize.Format(pool.Snapshot.PageableBytes)} pageable";

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
