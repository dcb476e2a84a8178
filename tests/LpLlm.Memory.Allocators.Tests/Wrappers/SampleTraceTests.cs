using LpLlm.Memory.TestKit.Replay;
using LpLlm.Memory.Wrappers.Tracing;

namespace LpLlm.Memory.Tests.Wrappers;

/// <summary>
/// The trace that the documents replay: three threads that load shards of a model, keep pages of a KV cache and stage copies. Recorded, not
/// written by hand: with UPDATE_SAMPLE_TRACE=1 this records it anew.
/// </summary>
public sealed class SampleTraceTests : Pooling.PoolFixture
{
    private static readonly string Sample = Path.Combine(
        Path.GetDirectoryName(typeof(SampleTraceTests).Assembly.Location)!, "../../../../../bench/LpLlm.Memory.Benchmarks/Replay/sample.csv");

    [Fact]
    public async Task Sample_Replays()
    {
        if (Environment.GetEnvironmentVariable("UPDATE_SAMPLE_TRACE") == "1")
        {
            await RecordAsync();
        }

        var trace = TraceReader.Read(Sample);
        using var pool = CreateSut(capacityBytes: 64 * MiB, slabBytes: 64 * MiB);

        var result = await Task.Run(() => TraceReplayer.Run(trace, pool)).DefaultTimeout();

        trace.IsComplete.Should().BeTrue();
        trace.Events.Select(e => e.Thread).Distinct().Should().HaveCountGreaterThan(1);
        result.Rents.Should().Be(trace.Rents).And.BeGreaterThan(100);
        result.NewFailures.Should().Be(0);
        trace.Failures.Should().BeGreaterThan(0);
    }

    private async Task RecordAsync()
    {
        await using var pool = new TracingPool(
            CreateSut(capacityBytes: 16 * MiB, slabBytes: 16 * MiB), new TracingOptions { Path = Sample }, Logger);
        await Task.WhenAll(
            UseAsync(pool, seed: 1, leases: 3, [2 * MiB, 4 * MiB]),
            UseAsync(pool, seed: 2, leases: 40, [65_536, 131_072]),
            UseAsync(pool, seed: 3, leases: 4, [4096, 700_000, MiB])).DefaultTimeout();
    }

    private static Task UseAsync(TracingPool pool, int seed, int leases, long[] lengths) => Task.Factory.StartNew(
        () =>
        {
            var random = new Random(seed);
            var held = new Queue<PinnedLease>();
            for (var i = 0; i < 200; i++)
            {
                if (held.Count < leases && pool.TryRent(lengths[random.Next(lengths.Length)], out var lease))
                {
                    held.Enqueue(lease);
                }
                else if (held.TryDequeue(out var oldest))
                {
                    oldest.Dispose();
                }

                Thread.SpinWait(random.Next(20_000)); // as if they worked: or each would run on its own, one after the other
            }

            foreach (var rest in held)
            {
                rest.Dispose();
            }
        },
        TaskCreationOptions.LongRunning);
}
