using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Creation;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport.Client;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>How long until a further client has a lease that stands, beside making as much memory of one's own.</summary>
internal static class AttachRun
{
    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var table = new MarkdownTable("a pool's memory", "ms", "ratio to attaching", "first acquisition, ms");
        foreach (var bytes in length.LeaseBytes)
        {
            try
            {
                new MemoryBudget().EnsureAvailable(2 * bytes);
                await AddRowsAsync(table, bytes, length);
            }
            catch (MemorySourceException refusal)
            {
                Console.WriteLine($"Notice: {ByteSize.Format(bytes)} is left out: {refusal.Message}");
            }
        }

        table.Print();
        Console.WriteLine("Goal: attaching, from connecting to the mapped address, at most 5 ms whatever the size. A local pool is made, populated and locked.");
    }

    private static async Task AddRowsAsync(MarkdownTable table, long bytes, RunLength length)
    {
        await using var server = await BenchmarkServer.StartAsync(bytes);
        await using var owner = ServingClient.OpenSource(server.EndPoint, bytes);
        var started = Stopwatch.GetTimestamp();
        using var region = await owner.ReserveSharedAsync(bytes, CancellationToken.None);
        var acquired = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        var token = region.Token;
        var local = new PoolCreation();
        var samples = Interleaved.Measure<double>(
            [
                () => TimeAsync(() => AttachAsync(server.EndPoint, bytes, token)).GetAwaiter().GetResult(),
                () => Time(() => local.Create(bytes)),
            ],
            warmUpRounds: 1,
            length.PoolRounds);
        table.Add($"{ByteSize.Format(bytes)}, attach to a lease", $"{Medians.Median(samples[0]):0.00}", "1.00", $"{acquired:0}");
        table.Add($"{ByteSize.Format(bytes)}, PinnedPool", $"{Medians.Median(samples[1]):0.00}", $"{Medians.MedianRatio(samples[1], samples[0]):0}", "-");
    }

    private static double Time(Func<IDisposable> make)
    {
        var started = Stopwatch.GetTimestamp();
        var made = make();
        var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        made.Dispose();
        return elapsed;
    }

    private static async Task<double> TimeAsync(Func<Task<(ServerMemorySource Source, MemoryRegion Region)>> make)
    {
        var started = Stopwatch.GetTimestamp();
        var made = await make();
        var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        made.Region.Dispose();
        await made.Source.DisposeAsync();
        return elapsed;
    }

    private static async Task<(ServerMemorySource Source, MemoryRegion Region)> AttachAsync(string endPoint, long bytes, Transport.Token token)
    {
        var source = ServingClient.OpenSource(endPoint, bytes);
        return (source, await source.AttachAsync(token, CancellationToken.None));
    }
}
