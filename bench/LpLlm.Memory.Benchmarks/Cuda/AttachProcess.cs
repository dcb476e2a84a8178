using System.Diagnostics;
using System.Globalization;
using LpLlm.Memory.Benchmarks.Serving;
using LpLlm.Memory.Cuda;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>A second process that attaches to a lease and registers it, now or at its first use. The driver is initialised before the clock starts.</summary>
internal static class AttachProcess
{
    public const string Command = "cuda-attach-process";

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    public static async Task<(double AttachedMilliseconds, double CopiedMilliseconds)> MeasureAsync(string endPoint, long bytes, string token, SegmentPinning pinning)
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
        var times = output.Split(' ');
        return (double.Parse(times[0], CultureInfo.InvariantCulture), double.Parse(times[1], CultureInfo.InvariantCulture));
    }

    public static async Task<int> RunAsync(string endPoint, long bytes, string token, SegmentPinning pinning)
    {
        using var stream = CudaRuntime.Shared.Devices[0].CreateStream();
        using var buffer = CudaRuntime.Shared.Devices[0].Allocate(1 << 20);
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        if (!Transport.Token.TryParse(Convert.FromHexString(token), out var lease))
        {
            return 1;
        }

        // The last counts: its code is compiled.
        var (attached, copied) = (0.0, 0.0);
        for (var i = 0; i < 4; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await using var source = ServingClient.OpenSource(endPoint, bytes, pinner, pinning);
            using var region = await source.AttachAsync(lease, CancellationToken.None);
            attached = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            stream.CopyToDevice(region.Address, buffer.Address, 1 << 20);
            await stream.Record().WaitAsync();
            copied = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{attached} {copied}"));
        return 0;
    }
}
