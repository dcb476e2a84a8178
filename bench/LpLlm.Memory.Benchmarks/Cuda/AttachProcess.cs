using System.Diagnostics;
using System.Globalization;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Cuda;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>
/// A second process that attaches to a lease and registers it, now or at its first use; and beside it the driver's registering alone, of memory that is mapped
/// already. The driver is initialised before the clock starts.
/// </summary>
internal static class AttachProcess
{
    public const string Command = "cuda-attach-process";

    private const int Rounds = 3;
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    /// <returns>Milliseconds, medians.</returns>
    public static async Task<(double Attached, double Copied, double DriverAlone)> MeasureAsync(string endPoint, long bytes, string token, SegmentPinning pinning)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(AttachProcess).Assembly.Location);
        }

        foreach (var argument in new[] { Command, endPoint, bytes.ToString(CultureInfo.InvariantCulture), token, $"{pinning}" })
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync().WaitAsync(Deadline);
        await process.WaitForExitAsync().WaitAsync(Deadline);
        var times = output.Split(' ').Select(time => double.Parse(time, CultureInfo.InvariantCulture)).ToArray();
        return (times[0], times[1], times[2]);
    }

    public static async Task<int> RunAsync(string endPoint, long bytes, string token, SegmentPinning pinning)
    {
        if (!Transport.Token.TryParse(Convert.FromHexString(token), out var lease))
        {
            return 1;
        }

        using var stream = CudaRuntime.Shared.Devices[0].CreateStream();
        using var buffer = CudaRuntime.Shared.Devices[0].Allocate(1 << 20);
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        var samples = Interleaved.Measure<(double Attached, double Copied)>(
            [() => AttachAsync().GetAwaiter().GetResult(), () => RegisterAsync().GetAwaiter().GetResult()], warmUpRounds: 1, Rounds);
        var (attached, copied, alone) = (
            Medians.Median(samples[0].Select(sample => sample.Attached)),
            Medians.Median(samples[0].Select(sample => sample.Copied)),
            Medians.Median(samples[1].Select(sample => sample.Attached)));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{attached} {copied} {alone}"));
        return 0;

        async Task<(double, double)> AttachAsync()
        {
            var started = Stopwatch.GetTimestamp();
            await using var source = ServingClient.OpenSource(endPoint, bytes, pinner, pinning);
            using var region = await source.AttachAsync(lease, CancellationToken.None);
            var ready = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            stream.CopyToDevice(region.Address, buffer.Address, 1 << 20);
            await stream.Record().WaitAsync();
            return (ready, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        async Task<(double, double)> RegisterAsync()
        {
            if (pinning != SegmentPinning.Eager)
            {
                return (0, 0);
            }

            await using var source = ServingClient.OpenSource(endPoint, bytes);
            using var region = await source.AttachAsync(lease, CancellationToken.None);
            var pieces = Enumerable.Range(0, (int)(bytes >> 30)).Select(gigabyte => region.Address + (nint)((long)gigabyte << 30)).ToList();
            var started = Stopwatch.GetTimestamp();
            pieces.ForEach(piece => PeerCalls.Register(piece, 1L << 30));
            var time = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            pieces.ForEach(PeerCalls.Unregister);
            return (time, time);
        }
    }
}
