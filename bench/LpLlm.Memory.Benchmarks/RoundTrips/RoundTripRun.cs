using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Grpc;
using LpLlm.Memory.Transport.Loopback;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>How long a request and its reply take on each transport, one after the other, beside a bare socket.</summary>
internal static class RoundTripRun
{
    public const int MessageBytes = 64;

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var folder = Directory.CreateTempSubdirectory("sllm-bench-");
        var contestants = new List<IRoundTrip>();
        try
        {
            // Each client sends as fast as it can; the limit of requests a second is for servers in the open.
            var limits = new PoolTransportLimits { MaxRequestsPerSecond = int.MaxValue };
            var grpc = new GrpcTransportSettings { Limits = limits };
            contestants.Add(await RawSocketRoundTrip.OpenAsync(folder.FullName));
            contestants.Add(await TransportRoundTrip.OpenAsync("loopback", new LoopbackTransport(limits), "loopback://bench"));
            contestants.Add(await TransportRoundTrip.OpenAsync("pipe", new PipeTransport(limits), $"pipe://{folder.FullName}/pipe.sock"));
            contestants.Add(await TransportRoundTrip.OpenAsync(
                "grpc, Unix socket", new GrpcTransport("grpc+unix", grpc), $"grpc+unix://{folder.FullName}/grpc.sock"));
            contestants.Add(await TransportRoundTrip.OpenAsync("grpc, TCP", new GrpcTransport("grpc", grpc), "grpc://127.0.0.1:0"));
            Print(contestants, Interleaved.Measure(
                [.. contestants.Select<IRoundTrip, Func<RoundTripSample>>(contestant => () => Measure(contestant, length.Scaled(5_000)))],
                length.WarmUpRounds,
                length.Rounds));
        }
        finally
        {
            foreach (var contestant in contestants)
            {
                await contestant.DisposeAsync();
            }

            folder.Delete(recursive: true);
        }
    }

    private static RoundTripSample Measure(IRoundTrip contestant, int count) => MeasureAsync(contestant, count).GetAwaiter().GetResult();

    private static async Task<RoundTripSample> MeasureAsync(IRoundTrip contestant, int count)
    {
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await contestant.SendAndReceiveAsync();
            times[i] = Stopwatch.GetElapsedTime(started).TotalMicroseconds;
        }

        Array.Sort(times);
        return new RoundTripSample(times[count / 2], times[count * 99 / 100]);
    }

    private static void Print(List<IRoundTrip> contestants, RoundTripSample[][] samples)
    {
        var table = new MarkdownTable("request and reply of 64 B", "p50, µs", "ratio to raw", "p99, µs", "ratio to raw");
        for (var i = 0; i < contestants.Count; i++)
        {
            table.Add(
                contestants[i].Name,
                $"{Medians.Median(samples[i].Select(sample => sample.Median)):0.0}",
                $"{Medians.MedianRatio(samples[i].Select(sample => sample.Median), samples[0].Select(sample => sample.Median)):0.00}",
                $"{Medians.Median(samples[i].Select(sample => sample.P99)):0.0}",
                $"{Medians.MedianRatio(samples[i].Select(sample => sample.P99), samples[0].Select(sample => sample.P99)):0.00}");
        }

        table.Print();
        Console.WriteLine("Goal: pipe at most 2 times the raw socket's median. Client and server share this process and its thread pool.");
    }
}
