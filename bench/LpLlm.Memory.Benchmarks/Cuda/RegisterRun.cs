using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Cuda;
using LpLlm.Memory.Sources;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Registering memory that is resident: in one piece for each GiB, and in smaller ones by several threads.</summary>
internal static class RegisterRun
{
    private const long Length = 4L << 30;

    private static readonly (long PieceBytes, int Threads)[] Ways =
        [(1L << 30, 1), (256L << 20, 1), (1L << 30, 4), (256L << 20, 4), (128L << 20, 8), (64L << 20, 16), (16L << 20, 1)];

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var bytes = length.IsQuick ? Length / 16 : Length;
        var table = new MarkdownTable("register " + ByteSize.Format(bytes), "register, ms", "ratio to 1 GiB, one thread", "unregister, ms");
        foreach (var pages in new[] { HugePageMode.Require, HugePageMode.Auto, HugePageMode.Never })
        {
            foreach (var shared in new[] { false, true })
            {
                try
                {
                    var options = new LocalPinnedPoolOptions { HugePages = pages, Shared = shared, AllowPageable = true };
                    using var region = await HostMemory.CreateSource(options, new NoPinner(), NullLogger.Instance).ReserveAsync(bytes);
                    AddRows(table, $"{pages} huge pages, {(shared ? "shared" : "private")}", region, length);
                }
                catch (MemorySourceException refusal)
                {
                    Console.WriteLine($"Notice: {pages} huge pages are left out: {refusal.Message}");
                }
            }
        }

        table.Print();
    }

    private static void AddRows(MarkdownTable table, string memory, MemoryRegion region, RunLength length)
    {
        var samples = Interleaved.Measure(
            [.. Ways.Select<(long PieceBytes, int Threads), Func<(double Register, double Unregister)>>(way => () => Time(region, way.PieceBytes, way.Threads))],
            warmUpRounds: 1,
            length.IsQuick ? 1 : 3);
        for (var i = 0; i < Ways.Length; i++)
        {
            table.Add(
                $"{memory}, {ByteSize.Format(Ways[i].PieceBytes)} x {Ways[i].Threads} threads",
                $"{Medians.Median(samples[i].Select(sample => sample.Register)):0.0}",
                $"{Medians.MedianRatio(samples[i].Select(sample => sample.Register), samples[0].Select(sample => sample.Register)):0.00}",
                $"{Medians.Median(samples[i].Select(sample => sample.Unregister)):0.0}");
        }
    }

    private static (double Register, double Unregister) Time(MemoryRegion region, long pieceBytes, int threads)
    {
        var range = new HostRange(new HostRegistrar(CudaRuntime.Shared), region.Address, region.LengthBytes, pieceBytes);
        var started = Stopwatch.GetTimestamp();
        Parallel.For(
            0L,
            region.LengthBytes / pieceBytes,
            new ParallelOptions { MaxDegreeOfParallelism = threads },
            piece => range.Use(region.Address + (nint)(piece * pieceBytes), pieceBytes));
        var registered = Stopwatch.GetTimestamp();
        range.Unregister().ForEach(refusal => throw refusal);
        return (Stopwatch.GetElapsedTime(started, registered).TotalMilliseconds, Stopwatch.GetElapsedTime(registered).TotalMilliseconds);
    }

    private sealed class NoPinner : IHostPinner
    {
        public string Name => "none";

        public PoolCapabilities Capabilities => PoolCapabilities.None;

        public void Pin(nint address, long lengthBytes)
        {
        }

        public void Unpin(nint address, long lengthBytes)
        {
        }
    }
}
