using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Cuda;
using LpLlm.Memory.Pooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Rent, copy to the device, return behind a fence: how many a second, on one thread and on one for each stream.</summary>
internal static class CyclesRun
{
    private const int BlockBytes = 4 << 10;
    private const long PoolBytes = 64L << 20;
    private const int CopiesPerFence = 8;

    public static void Run(RunLength length)
    {
        var device = CudaRuntime.Shared.Devices[0];
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        using var pool = PinnedPoolFactory.CreateLocal(
            "bench", new LocalPinnedPoolOptions { CapacityBytes = PoolBytes, InitialBytes = PoolBytes }, NullLogger.Instance, pinner);
        pool.OpenAsync(progress: null, CancellationToken.None).GetAwaiter().GetResult();
        using var buffer = device.Allocate(PoolBytes);
        var table = new MarkdownTable(
            "cycles of 4 KiB", "a fence each, thousands/s", "a fence for 8, thousands/s", "copy alone, thousands/s", "ratio of a fence each to it");
        var count = length.IsQuick ? 2_000 : 100_000;
        foreach (var threads in new[] { false, true })
        {
            foreach (var streamCount in new[] { 1, 2, 4, 8 })
            {
                var streams = Enumerable.Range(0, streamCount).Select(_ => device.CreateStream()).ToArray();
                Func<double> With(Action<IDeviceStream, int> cycles) => () => Measure(streams, count, threads, cycles);
                var samples = Interleaved.Measure<double>(
                    [
                        With((stream, n) => Cycle(pool, stream, buffer, n, 1)),
                        With((stream, n) => Cycle(pool, stream, buffer, n, CopiesPerFence)),
                        With((stream, n) => CopyAlone(pool, stream, buffer, n)),
                    ],
                    warmUpRounds: 1,
                    length.IsQuick ? 1 : 3);
                table.Add(
                    $"{streamCount} streams, {(threads ? "a thread each" : "one thread")}",
                    $"{Medians.Median(samples[0]):0}",
                    $"{Medians.Median(samples[1]):0}",
                    $"{Medians.Median(samples[2]):0}",
                    $"{Medians.MedianRatio(samples[0], samples[2]):0.00}");
                foreach (var stream in streams)
                {
                    stream.Dispose();
                }
            }
        }

        table.Print();
        Console.WriteLine("Goal: at least 200 thousand a second. Copy alone: the same copies from one lease, and one fence at the end.");
    }

    private static double Measure(IDeviceStream[] streams, int count, bool threads, Action<IDeviceStream, int> cycles)
    {
        var started = Stopwatch.GetTimestamp();
        if (threads)
        {
            var running = streams.Select(stream => new Thread(() => cycles(stream, count / streams.Length))).ToList();
            running.ForEach(thread => thread.Start());
            running.ForEach(thread => thread.Join());
        }
        else
        {
            // Round after round of a few, so that all streams are at work at the same time.
            const int Turn = 64;
            for (var done = 0; done < count; done += Turn * streams.Length)
            {
                foreach (var stream in streams)
                {
                    cycles(stream, Turn);
                }
            }
        }

        FencePolling.Wait([.. streams.Select(stream => stream.Record())]);

        return count / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e3;
    }

    private static void Cycle(PinnedPool pool, IDeviceStream stream, IDeviceBuffer buffer, int count, int copiesPerFence)
    {
        var leases = new PinnedLease[copiesPerFence];
        for (var i = 0; i < count; i += copiesPerFence)
        {
            for (var k = 0; k < copiesPerFence; k++)
            {
                leases[k] = pool.Rent(BlockBytes);
                stream.CopyToDevice(leases[k], 0, buffer, 0, BlockBytes);
            }

            var fence = stream.Record();
            foreach (var lease in leases)
            {
                lease.ReturnAfter(fence);
            }
        }
    }

    private static void CopyAlone(PinnedPool pool, IDeviceStream stream, IDeviceBuffer buffer, int count)
    {
        var lease = pool.Rent(BlockBytes);
        for (var i = 0; i < count; i++)
        {
            stream.CopyToDevice(lease, 0, buffer, 0, BlockBytes);
        }

        lease.ReturnAfter(stream.Record());
    }
}
