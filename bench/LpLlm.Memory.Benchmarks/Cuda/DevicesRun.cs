using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Cuda;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>One registration serves all devices: copies of one lease to each alone, and to all at once.</summary>
internal static class DevicesRun
{
    private const long Length = 1L << 30;

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var devices = CudaRuntime.Shared.Devices;
        if (devices.Count < 2)
        {
            Console.WriteLine($"Notice: nothing is measured, this machine has {devices.Count} device.");
            return;
        }

        var bytes = length.IsQuick ? Length / 16 : Length;
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        await using var pool = PinnedPoolFactory.CreateLocal(
            "bench", new LocalPinnedPoolOptions { CapacityBytes = bytes, InitialBytes = bytes }, NullLogger.Instance, pinner);
        await pool.OpenAsync(progress: null, CancellationToken.None);
        using var lease = pool.Rent(bytes);
        var ends = devices.Select(device => (Stream: (IDeviceStream)device.CreateStream(), Buffer: (IDeviceBuffer)device.Allocate(bytes))).ToList();
        var peer = PeerCalls.HostAllocate(bytes);
        var table = new MarkdownTable("one lease", "to device, GB/s", "ratio to cuMemHostAlloc's", "to host, GB/s", "ratio");
        for (var i = 0; i <= ends.Count; i++)
        {
            List<(IDeviceStream, IDeviceBuffer)> some = i < ends.Count ? [ends[i]] : ends;
            var row = new List<string> { i < ends.Count ? devices[i].Name : $"all {ends.Count} at once" };
            foreach (var toDevice in new[] { true, false })
            {
                var samples = Interleaved.Measure<double>(
                    [() => Copy(some, lease.Address, bytes, toDevice), () => Copy(some, peer, bytes, toDevice)], warmUpRounds: 2, length.IsQuick ? 2 : 9);
                row.Add($"{Medians.Median(samples[0]):0.0}");
                row.Add($"{Medians.MedianRatio(samples[0], samples[1]):0.000}");
            }

            table.Add([.. row]);
        }

        ends.ForEach(end =>
        {
            end.Stream.Dispose();
            end.Buffer.Dispose();
        });
        PeerCalls.HostFree(peer);
        table.Print();
    }

    /// <returns>GB a second, of all together. Each device writes to a part of the host's memory of its own.</returns>
    private static double Copy(List<(IDeviceStream Stream, IDeviceBuffer Buffer)> ends, nint host, long bytes, bool toDevice)
    {
        const int Count = 4;
        var each = toDevice ? bytes : bytes / ends.Count;
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < Count; i++)
        {
            for (var j = 0; j < ends.Count; j++)
            {
                var (stream, buffer) = ends[j];
                if (toDevice)
                {
                    stream.CopyToDevice(host, buffer.Address, each);
                }
                else
                {
                    stream.CopyToHost(buffer.Address, host + (nint)(j * each), each);
                }
            }
        }

        FencePolling.Wait([.. ends.Select(end => end.Stream.Record())]);
        return Count * each * ends.Count / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }
}
