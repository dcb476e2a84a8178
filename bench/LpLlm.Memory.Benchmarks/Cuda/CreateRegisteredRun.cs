using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Creation;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Sources;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>How long until a pool is resident and registered, beside memory that the driver makes, and PyTorch's.</summary>
internal static class CreateRegisteredRun
{
    private static readonly long[] Lengths = [1L << 30, 4L << 30, 16L << 30];

    public static void Run(RunLength length)
    {
        var table = new MarkdownTable("create registered memory", "create, ms", "cuMemHostAlloc takes times", "destroy, ms");
        foreach (var lengthBytes in length.IsQuick ? Lengths[..1] : Lengths)
        {
            try
            {
                new MemoryBudget().EnsureAvailable(lengthBytes);
                AddRows(table, lengthBytes, length);
            }
            catch (MemorySourceException refusal)
            {
                Console.WriteLine($"Notice: {ByteSize.Format(lengthBytes)} is left out: {refusal.Message}");
            }
        }

        table.Print();
        Console.WriteLine("Goal: 8 times faster than cuMemHostAlloc at 16 GiB. Lazy memory is populated, and registered by and by.");
    }

    private static void AddRows(MarkdownTable table, long lengthBytes, RunLength length)
    {
        ICreation[] creations =
        [
            new HostAllocCreation(),
            new RegisteredPoolCreation("PinnedPool, huge pages Auto", HugePageMode.Auto),
            new RegisteredPoolCreation("PinnedPool, 4 KiB pages", HugePageMode.Never),
            new RegisteredPoolCreation("PinnedPool, huge pages Auto, lazy", HugePageMode.Auto, HostRegistration.Lazy),
        ];
        // The largest takes the peer 9 s a round, 4 GiB 2.5 s.
        var rounds = length.IsQuick || lengthBytes > 1L << 30 ? 2 : 5;
        var samples = Interleaved.Measure(
            [.. creations.Select<ICreation, Func<CreationSample>>(creation => () => Time(creation, lengthBytes))], warmUpRounds: rounds > 2 ? 1 : 0, rounds);
        var creates = samples.Select(all => all.Select(sample => sample.CreateMilliseconds).ToArray()).ToArray();
        for (var i = 0; i < creations.Length; i++)
        {
            table.Add(
                $"{ByteSize.Format(lengthBytes)}, {creations[i].Name}",
                $"{Medians.Median(creates[i]):0}",
                $"{Medians.MedianRatio(creates[0], creates[i]):0.0}",
                $"{Medians.Median(samples[i].Select(sample => sample.DestroyMilliseconds)):0}");
        }

        if (TorchPinMemory.MeasureAsync(lengthBytes).GetAwaiter().GetResult() is { } torch)
        {
            table.Add($"{ByteSize.Format(lengthBytes)}, PyTorch pin_memory", $"{torch:0}", $"{Medians.Median(creates[0]) / torch:0.0}", "-");
        }
    }

    private static CreationSample Time(ICreation creation, long lengthBytes)
    {
        var started = Stopwatch.GetTimestamp();
        var memory = creation.Create(lengthBytes);
        var created = Stopwatch.GetTimestamp();
        memory.Dispose();
        return new CreationSample(
            Stopwatch.GetElapsedTime(started, created).TotalMilliseconds, Stopwatch.GetElapsedTime(created).TotalMilliseconds);
    }
}
