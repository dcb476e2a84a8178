using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>How long after a client's SIGKILL its memory is back: zeroed and free. The quarantine is set to nothing, and comes on top.</summary>
internal static class ReclaimRun
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        await using var server = await BenchmarkServer.StartAsync(1L << 30);
        var gone = new List<double>();
        var back = new List<double>();
        for (var round = -1; round < 3 * length.ProcessRounds; round++)
        {
            using var client = await RentProcess.StartReadyAsync(server.EndPoint);
            var started = Stopwatch.GetTimestamp();
            client.Kill();
            await client.WaitForExitAsync().WaitAsync(Deadline);
            var exited = Stopwatch.GetElapsedTime(started);
            while (server.Statistics is not { LeasedBytes: 0, PendingBytes: 0 } && Stopwatch.GetElapsedTime(started) < Deadline)
            {
                await Task.Delay(1);
            }

            if (round >= 0) // the first one compiles
            {
                gone.Add(exited.TotalMilliseconds);
                back.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        var table = new MarkdownTable("64 MiB of a killed client", "ms, median", "ms, longest");
        table.Add("the process is gone", $"{Medians.Median(gone):0.0}", $"{gone.Max():0.0}");
        table.Add("its memory is zeroed and free", $"{Medians.Median(back):0.0}", $"{back.Max():0.0}");
        table.Print();
        Console.WriteLine("Goal: at most 100 ms (after the quarantine, here 0).");
    }
}
