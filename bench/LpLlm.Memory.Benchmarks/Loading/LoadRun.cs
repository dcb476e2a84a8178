using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Models;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Loading;

/// <summary>How fast a model comes from the disk into pinned memory, beside plain reads of the same file into the same memory, and a copy of it.</summary>
internal static class LoadRun
{
    private const int ThreadCount = 4;
    private static readonly int ReadBytes = new ModelCatalogSettings { StoragePath = "" }.ReadBytes;

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        using var model = new LoadFile(length.ModelBytes);
        using var pool = BenchmarkPool.Open(length.ModelBytes);
        var settings = new ModelCatalogSettings { StoragePath = model.StoragePath, ThreadCount = ThreadCount };
        await using var catalog = new ModelCatalog(settings, new PoolModelMemory(pool), TimeProvider.System, NullLogger.Instance);
        (string Name, Action Work)[] contestants =
        [
            ("model store", () => catalog.LoadAsync(LoadFile.Model, RentPriority.Normal).GetAwaiter().GetResult()),
            ("pread, O_DIRECT", () => ReadPlainly(model, pool, direct: true)),
            ("pread, page cache", () => ReadPlainly(model, pool, direct: false)),
            ("file copy", () => File.Copy(model.FullName, model.FullName + ".copy", overwrite: true)),
        ];
        var table = new MarkdownTable($"{ByteSize.Format(length.ModelBytes)}, {ThreadCount} threads", "GB/s", "the model store's ratio to it");
        foreach (var (state, prepare) in new (string, Action)[] { ("cold", model.MakeCold), ("warm", model.MakeWarm) })
        {
            var samples = Interleaved.Measure(
                [.. contestants.Select<(string Name, Action Work), Func<double>>(contestant => () =>
                {
                    // Outside the time: memory that is free for the next, and the cache as it should be.
                    _ = catalog.Evict(long.MaxValue);
                    prepare();
                    return GigabytesPerSecond(model.LengthBytes, contestant.Work);
                })],
                warmUpRounds: 1,
                length.LoadRounds);
            for (var i = 0; i < contestants.Length; i++)
            {
                table.Add($"{state}, {contestants[i].Name}", $"{Medians.Median(samples[i]):0.00}", $"{Medians.MedianRatio(samples[0], samples[i]):0.00}");
            }
        }

        table.Print();
        Console.WriteLine("Goal: at least 0.95 of the faster pread. Cold: the file was dropped from the page cache; a hypervisor's cache below stays.");
    }

    private static void ReadPlainly(LoadFile model, PinnedPool pool, bool direct)
    {
        using var memory = pool.Rent(model.LengthBytes, 2 << 20);
        PlainRead.Read(model, memory, ThreadCount, ReadBytes, direct);
    }

    private static double GigabytesPerSecond(long bytes, Action work)
    {
        var started = Stopwatch.GetTimestamp();
        work();
        return bytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }
}
