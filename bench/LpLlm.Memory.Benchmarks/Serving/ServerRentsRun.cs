using LpLlm.Memory.Benchmarks.Contestants;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Benchmarks.Threads;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>Rents through a server pool beside the local pool: in one process, and in several at once.</summary>
internal static class ServerRentsRun
{
    private const long PoolBytes = 64L << 20;
    private const long RentBytes = 64 << 10;
    private const string LocalMemory = "local";

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        await using var server = await BenchmarkServer.StartAsync(16 * PoolBytes);
        await PrintOneProcessAsync(server, length);
        await PrintProcessesAsync(server, length);
    }

    private static async Task PrintOneProcessAsync(BenchmarkServer server, RunLength length)
    {
        using var local = BenchmarkPool.Open(PoolBytes);
        using var host = await ServingClient.OpenPoolAsync(server.EndPoint, PoolBytes);
        Contestant[] contestants =
        [
            new AdapterContestant<PinnedPoolAdapter, LeaseBlock>("local pool", new(local)),
            new AdapterContestant<PinnedPoolAdapter, LeaseBlock>("server pool", new(host.Services.GetRequiredService<IPinnedMemoryPool>())),
        ];
        var samples = Interleaved.Measure(
            [.. contestants.Select<Contestant, Func<double>>(
                contestant => () => PairRound.Run(contestant, RentBytes, threads: 1, length.BatchesPerThread).Nanoseconds)],
            length.WarmUpRounds,
            length.Rounds);
        var table = new MarkdownTable("rent + touch + dispose of 64 KiB", "ns", "ratio to local");
        for (var i = 0; i < contestants.Length; i++)
        {
            table.Add(contestants[i].Name, $"{Medians.Median(samples[i]):0.0}", $"{Medians.MedianRatio(samples[i], samples[0]):0.00}");
        }

        table.Print();
        await host.StopAsync();
    }

    private static async Task PrintProcessesAsync(BenchmarkServer server, RunLength length)
    {
        var table = new MarkdownTable("processes at once", "local pools, M rents/s", "server pools, M rents/s", "server to local");
        foreach (var processes in length.ClientProcesses)
        {
            var local = new List<double>();
            var served = new List<double>();
            // 0.5 s each: long beside the moments at which processes see the start.
            var batches = 25 * length.BatchesPerThread;
            for (var round = 0; round < length.ProcessRounds; round++)
            {
                var isLocalFirst = round % 2 == 0;
                foreach (var isLocal in new[] { isLocalFirst, !isLocalFirst })
                {
                    (isLocal ? local : served).Add(await RentProcess.MeasureAsync(isLocal ? LocalMemory : server.EndPoint, processes, batches));
                }
            }

            table.Add(
                $"{processes}", $"{Medians.Median(local):0.0}", $"{Medians.Median(served):0.0}", $"{Medians.MedianRatio(served, local):0.00}");
        }

        table.Print();
        Console.WriteLine("Goal: equal, since rents never cross the wire. Rates are of all processes together, in the time that all of them run.");
    }

    /// <summary>
    /// What a process of the second table does: opens its pool, says so, waits for a line, rents, and prints its rate. Both kinds are applications with a
    /// host: what that costs beside rents (stacks that the garbage collector walks, threads) is no pool's.
    /// </summary>
    public static async Task RunProcessAsync(string endPoint, int batches)
    {
        using var host = await (endPoint == LocalMemory ? ServingClient.OpenLocalPoolAsync(PoolBytes) : ServingClient.OpenPoolAsync(endPoint, PoolBytes));
        var contestant = new AdapterContestant<PinnedPoolAdapter, LeaseBlock>(endPoint, new(host.Services.GetRequiredService<IPinnedMemoryPool>()));
        PairRound.Run(contestant, RentBytes, threads: 1, batches);
        Console.WriteLine("ready");
        await Console.In.ReadLineAsync();
        Console.WriteLine(PairRound.Run(contestant, RentBytes, threads: 1, batches).Nanoseconds);
        await host.StopAsync();
    }
}
