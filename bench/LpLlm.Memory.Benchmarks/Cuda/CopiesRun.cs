using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Cuda;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Copies from each kind of memory beside memory that the driver made, one way and both ways at once.</summary>
internal static class CopiesRun
{
    private const long RoundBytes = 2L << 30;
    private static readonly long[] Lengths = [64L << 10, 1L << 20, 16L << 20, 64L << 20, 1L << 30];

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var lengths = length.IsQuick ? Lengths[..3] : Lengths;
        var largest = lengths[^1];
        var device = CudaRuntime.Shared.Devices[0];
        await using var server = await BenchmarkServer.StartAsync(2 * largest);
        using var eager = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        using var lazy = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions { Registration = HostRegistration.Lazy });

        // The first is the peer; daemon-pushed memory gets its row with the daemon's copies.
        CopyMemory[] memories =
        [
            await MakePeerAsync(largest),
            await MakeLocalAsync("local pool", largest, eager),
            await MakeLocalAsync("local pool, lazy", largest, lazy),
            await MakeLeasedAsync("server lease", server.EndPoint, largest, eager, SegmentPinning.Eager),
            await MakeLeasedAsync("server lease, lazy", server.EndPoint, largest, eager, SegmentPinning.Lazy),
        ];
        try
        {
            using var buffer = device.Allocate(2 * largest);
            using var first = device.CreateStream();
            using var second = device.CreateStream();
            var table = new MarkdownTable(
                "copies from and to", "to device, GB/s", "ratio", "to host, GB/s", "ratio", "both ways, GB/s", "ratio");
            foreach (var lengthBytes in lengths)
            {
                AddRows(table, memories, lengthBytes, length, (memory, way) => Copy(memory, way, lengthBytes, buffer, first, second));
            }

            table.Print();
            Console.WriteLine("Ratios are to cuMemHostAlloc's memory in the same rounds. Goal: at least 0.99 from 16 MiB on.");
        }
        finally
        {
            foreach (var memory in memories)
            {
                memory.Dispose();
            }
        }
    }

    private static void AddRows(
        MarkdownTable table, CopyMemory[] memories, long lengthBytes, RunLength length, Func<CopyMemory, Way, double> copy)
    {
        var ways = Enum.GetValues<Way>();
        var samples = ways.Select(way => Interleaved.Measure<double>(
            [.. memories.Select<CopyMemory, Func<double>>(memory => () => copy(memory, way))], warmUpRounds: 1, length.IsQuick ? 2 : 15)).ToArray();
        for (var i = 0; i < memories.Length; i++)
        {
            table.Add([
                $"{ByteSize.Format(lengthBytes)}, {memories[i].Name}",
                .. ways.SelectMany(way => new[]
                {
                    $"{Medians.Median(samples[(int)way][i]):0.0}", $"{Medians.MedianRatio(samples[(int)way][i], samples[(int)way][0]):0.000}",
                }),
            ]);
        }
    }

    /// <returns>GB a second, of both directions together where it is both.</returns>
    private static double Copy(CopyMemory memory, Way way, long lengthBytes, IDeviceBuffer buffer, IDeviceStream first, IDeviceStream second)
    {
        var count = (int)Math.Clamp(RoundBytes / 4 / lengthBytes, 2, 2000);
        var half = way == Way.Both && lengthBytes > 64 << 10 ? lengthBytes / 2 : 0; // two halves, so that no byte is written twice
        var each = half == 0 ? lengthBytes : half;
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            if (way != Way.ToHost)
            {
                first.CopyToDevice(memory.Address, buffer.Address, each);
            }

            if (way != Way.ToDevice)
            {
                (way == Way.Both ? second : first).CopyToHost(buffer.Address + (nint)buffer.LengthBytes / 2, memory.Address + (nint)half, each);
            }
        }

        FencePolling.Wait(first.Record(), second.Record());
        return count * each * (way == Way.Both ? 2 : 1) / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }

    private static Task<CopyMemory> MakePeerAsync(long bytes)
    {
        var address = PeerCalls.HostAllocate(bytes);
        return Task.FromResult(new CopyMemory("cuMemHostAlloc", address, () => PeerCalls.HostFree(address)));
    }

    private static async Task<CopyMemory> MakeLocalAsync(string name, long bytes, IHostPinner pinner)
    {
        var options = new LocalPinnedPoolOptions { CapacityBytes = bytes, InitialBytes = bytes };
        var pool = PinnedPoolFactory.CreateLocal("bench", options, NullLogger.Instance, pinner);
        await pool.OpenAsync(progress: null, CancellationToken.None);
        var lease = pool.Rent(bytes);
        return new CopyMemory(name, lease.Address, () =>
        {
            lease.Dispose();
            pool.Dispose();
        });
    }

    private static async Task<CopyMemory> MakeLeasedAsync(string name, string endPoint, long bytes, IHostPinner pinner, SegmentPinning pinning)
    {
        var source = ServingClient.OpenSource(endPoint, bytes, pinner, pinning);
        var region = await source.ReserveAsync(bytes);
        return new CopyMemory(name, region.Address, () =>
        {
            region.Dispose();
            source.DisposeAsync().AsTask().GetAwaiter().GetResult();
        });
    }

    private enum Way
    {
        ToDevice,
        ToHost,
        Both,
    }
}
