using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Sources;
using LpLlm.Memory.Transport.Client;
using LpLlm.Memory.Transport.Pipes;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>How long until a process has a model open that the server has in memory, by the model's length.</summary>
internal static class OpenRun
{
    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var table = new MarkdownTable("model", "open, ms", "ratio to the smallest", "open by a new client, ms", "load, ms");
        double? smallest = null;
        foreach (var bytes in length.OpenBytes)
        {
            try
            {
                new MemoryBudget().EnsureAvailable(bytes);
            }
            catch (MemorySourceException refusal)
            {
                Console.WriteLine($"Notice: {ByteSize.Format(bytes)} is left out: {refusal.Message}");
                continue;
            }

            using var models = new BenchmarkModels();
            models.Add("m", bytes);
            var (load, open, openNew) = await MeasureAsync(models, bytes, length);
            smallest ??= open;
            table.Add(ByteSize.Format(bytes), $"{open:0.00}", $"{open / smallest:0.00}", $"{openNew:0.00}", $"{load:0}");
        }

        table.Print();
        Console.WriteLine($"An index of {BenchmarkModels.TensorCount} tensors. Goal: flat, at most 5 ms. Pages are mapped when they are touched.");
    }

    private static async Task<(double Load, double Open, double OpenNew)> MeasureAsync(BenchmarkModels models, long bytes, RunLength length)
    {
        await using var server = await BenchmarkServer.StartAsync(bytes, storagePath: models.Path);
        await using var store = Open(server.EndPoint);
        var started = Stopwatch.GetTimestamp();
        using var loaded = await store.OpenAsync("m");
        var load = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        var samples = Interleaved.Measure<double>(
            [
                () => TimeAsync(store).GetAwaiter().GetResult(),
                () => TimeNewAsync(server.EndPoint).GetAwaiter().GetResult(),
            ],
            length.WarmUpRounds,
            length.Rounds);
        return (load, Medians.Median(samples[0]), Medians.Median(samples[1]));
    }

    private static async Task<double> TimeAsync(ServerModelStore store)
    {
        var started = Stopwatch.GetTimestamp();
        using var model = await store.OpenAsync("m");
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static async Task<double> TimeNewAsync(string endPoint)
    {
        var started = Stopwatch.GetTimestamp();
        await using var store = Open(endPoint);
        using var model = await store.OpenAsync("m");
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static ServerModelStore Open(string endPoint) => new(
        new ModelClientOptions { Connection = new PoolClientOptions { EndPoint = new Uri(endPoint), CapacityBytes = 0 } },
        new PipeTransport(),
        TimeProvider.System,
        NullLogger.Instance);
}
