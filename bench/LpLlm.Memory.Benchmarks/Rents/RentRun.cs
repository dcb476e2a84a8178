using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using LpLlm.Memory.Benchmarks.Contestants;

namespace LpLlm.Memory.Benchmarks.Rents;

/// <summary>Runs <see cref="RentBenchmarks"/>: nanoseconds and garbage per rent, each contestant in processes of its own.</summary>
internal static class RentRun
{
    /// <param name="length">Quick means a dry run: every benchmark once.</param>
    /// <param name="brief">Three iterations instead of as many as it takes for a narrow error.</param>
    public static void Run(RunLength length, bool brief)
    {
        var absent = new HashSet<string>();
        if (!PeerLibrary.TryOpen(MimallocAdapter.LibraryName, out _))
        {
            absent.Add(nameof(RentBenchmarks.Mimalloc));
        }

        if (!PeerLibrary.TryOpen(JemallocAdapter.LibraryName, out _))
        {
            absent.Add(nameof(RentBenchmarks.Jemalloc));
        }

        var job = length.IsQuick ? Job.Dry : brief ? Job.ShortRun : Job.Default;
        var config = DefaultConfig.Instance
            .AddJob(job.WithEnvironmentVariable(StaticTlsRestart.Variable, StaticTlsRestart.Tunables))
            .AddFilter(new SimpleFilter(benchmark => !absent.Contains(benchmark.Descriptor.WorkloadMethod.Name)));
        var summary = BenchmarkRunner.Run<RentBenchmarks>(config);
        if (summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success))
        {
            throw new InvalidOperationException("A benchmark did not run; BenchmarkDotNet's output above says why.");
        }

        Console.WriteLine("Goals: PinnedPool at most 60 ns and at most 64 B of garbage per rent. A ratio below 1 is faster than PinnedPool.");
    }
}
