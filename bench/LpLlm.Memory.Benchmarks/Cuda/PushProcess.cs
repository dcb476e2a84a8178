using System.Diagnostics;
using System.Globalization;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Cuda;
using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Client;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>The client: it exports its device memory and has the server copy, beside copies of its own from memory that the driver made.</summary>
internal static class PushProcess
{
    public const string Command = "cuda-push-process";

    private const int Concurrent = 4;
    private const long RoundBytes = 4L << 30;
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);
    private static readonly long[] Lengths = [1L << 20, 16L << 20, 64L << 20, 256L << 20, 1L << 30];

    public static long LargestBytes(bool isQuick) => Lengths[isQuick ? 2 : ^1];

    public static async Task<string> StartAsync(string endPoint, bool isQuick)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(PushProcess).Assembly.Location);
        }

        foreach (var argument in new[] { Command, endPoint, isQuick.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync().WaitAsync(Deadline);
        await process.WaitForExitAsync().WaitAsync(Deadline);
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"The client ended with {process.ExitCode}. {output}");
    }

    public static async Task<int> RunAsync(string endPoint, bool isQuick)
    {
        var largest = LargestBytes(isQuick);
        var device = CudaRuntime.Shared.Devices[0];
        var peer = PeerCalls.HostAllocate(largest);
        await using var source = ServingClient.OpenSource(endPoint, largest);
        using var region = await source.ReserveAsync(largest);
        using var buffer = device.Allocate(largest);
        using var stream = device.CreateStream();
        var memory = ExportedMemory.Of(device, buffer);
        var table = new MarkdownTable("copies of the server's", "to device, GB/s", "ratio", "to host, GB/s", "ratio");
        foreach (var lengthBytes in Lengths.Where(length => length <= largest))
        {
            var count = (int)Math.Clamp(RoundBytes / lengthBytes, Concurrent, 1000);
            var row = new List<string> { ByteSize.Format(lengthBytes) };
            foreach (var direction in new[] { CopyDirection.ToDevice, CopyDirection.ToHost })
            {
                var samples = Interleaved.Measure<double>(
                    [
                        () => Copy(stream, direction, peer, buffer.Address, lengthBytes, count),
                        () => PushAsync(source, direction, region.Address, memory, lengthBytes, count).GetAwaiter().GetResult(),
                    ],
                    warmUpRounds: 1,
                    isQuick ? 2 : 9);
                row.Add($"{Medians.Median(samples[1]):0.0}");
                row.Add($"{Medians.MedianRatio(samples[1], samples[0]):0.000}");
            }

            table.Add([.. row]);
        }

        table.Print();
        PeerCalls.HostFree(peer);
        return 0;
    }

    private static double Copy(IDeviceStream stream, CopyDirection direction, nint host, nint device, long lengthBytes, int count)
    {
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < count; i++)
        {
            if (direction == CopyDirection.ToDevice)
            {
                stream.CopyToDevice(host, device, lengthBytes);
            }
            else
            {
                stream.CopyToHost(device, host, lengthBytes);
            }
        }

        FencePolling.Wait(stream.Record());
        return count * lengthBytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }

    /// <summary>Several under way, as a program has that copies layer after layer.</summary>
    private static async Task<double> PushAsync(
        ServerMemorySource source, CopyDirection direction, nint host, ExportedMemory memory, long lengthBytes, int count)
    {
        var left = count;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Concurrent).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                await source.CopyAsync(direction, host, lengthBytes, memory, 0, CancellationToken.None);
            }
        }));
        return count * lengthBytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }
}
