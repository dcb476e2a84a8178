using System.Diagnostics;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Cuda;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>A decode step whose tensors lie on the device, beside the same step on host tensors and beside its copies alone.</summary>
internal static class AttentionDeviceRun
{
    /// <summary>Groups that decode in turn: one a stage of the manager.</summary>
    private const int GroupCount = 3;

    public static void Run(RunLength length)
    {
        using var pinner = new CudaHostPinner(CudaRuntime.Shared, new CudaHostMemoryOptions());
        RunAsync(length, CudaRuntime.Shared.Devices[0], pinner).GetAwaiter().GetResult();
    }

    private static async Task RunAsync(RunLength length, CudaDevice device, CudaHostPinner pinner)
    {
        var (sequences, past, steps) = length.IsQuick ? (2, 64, 6) : (16, 1024, 60);
        const long Capacity = 1L << 30;
        await using var pool = PinnedPoolFactory.CreateLocal(
            "bench", new LocalPinnedPoolOptions { CapacityBytes = Capacity, InitialBytes = Capacity }, NullLogger.Instance, pinner);
        await pool.OpenAsync(progress: null, CancellationToken.None);
        await using var manager = new AttnManager(pool, new AttnManagerOptions(), device);
        using var inwards = device.CreateStream();
        using var outwards = device.CreateStream();
        using var cache = manager.CreateCache(DecodeGroup.Shape);
        var groups = Enumerable.Range(0, GroupCount).Select(_ => new DecodeGroup(device, pool, cache, sequences, past)).ToArray();
        foreach (var group in groups)
        {
            await group.FillAsync(manager, inwards);
        }

        var samples = Interleaved.Measure<double>(
            [
                () => Measure(groups, steps, () => RunOnHostAsync(manager, groups, steps)),
                () => Measure(groups, steps, () => RunOneByOneAsync(manager, groups, steps)),
                () => Measure(groups, steps, () => RunOverlappedAsync(manager, groups, steps)),
                () => Measure(groups, steps, () => RunCopiesAsync(groups, steps, inwards, outwards)),
            ],
            length.WarmUpRounds,
            length.IsQuick ? 1 : 7);
        string[] names = ["host tensors", "device tensors, each step awaited", "device tensors, three steps in flight", "the copies alone"];
        var table = new MarkdownTable($"{sequences} sequences of {past} tokens", "ms a step", "ratio to host tensors");
        for (var i = 0; i < names.Length; i++)
        {
            table.Add(names[i], $"{Medians.Median(samples[i]):0.000}", $"{Medians.MedianRatio(samples[i], samples[0]):0.000}");
        }

        table.Print();
        Console.WriteLine("8 KV heads, 32 query heads of 128 elements, bfloat16 on the device and in the cache; host tensors are float32.");
        foreach (var group in groups)
        {
            group.Dispose();
        }
    }

    /// <returns>Milliseconds a step.</returns>
    private static double Measure(DecodeGroup[] groups, int steps, Func<Task> run)
    {
        var started = Stopwatch.GetTimestamp();
        run().GetAwaiter().GetResult();
        var elapsed = Stopwatch.GetElapsedTime(started).TotalMilliseconds / steps;
        foreach (var group in groups)
        {
            group.Rewind();
        }

        return elapsed;
    }

    private static async Task RunOnHostAsync(AttnManager manager, DecodeGroup[] groups, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            (await manager.SubmitAsync(groups[step % groups.Length].OnHost)).Dispose();
        }
    }

    private static async Task RunOneByOneAsync(AttnManager manager, DecodeGroup[] groups, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            var fence = await manager.SubmitAsync(groups[step % groups.Length].OnDevice);
            await fence.WaitAsync();
        }
    }

    private static async Task RunOverlappedAsync(AttnManager manager, DecodeGroup[] groups, int steps)
    {
        var running = new Task<IDeviceFence>?[groups.Length];
        for (var step = 0; step < steps; step++)
        {
            if (running[step % groups.Length] is { } before)
            {
                await before;
            }

            running[step % groups.Length] = manager.SubmitAsync(groups[step % groups.Length].OnDevice);
        }

        foreach (var task in running)
        {
            if (task is not null)
            {
                await (await task).WaitAsync();
            }
        }
    }

    private static async Task RunCopiesAsync(DecodeGroup[] groups, int steps, IDeviceStream inwards, IDeviceStream outwards)
    {
        for (var step = 0; step < steps; step++)
        {
            groups[step % groups.Length].EnqueueCopies(inwards, outwards);
        }

        await inwards.Record().WaitAsync();
        await outwards.Record().WaitAsync();
    }
}
