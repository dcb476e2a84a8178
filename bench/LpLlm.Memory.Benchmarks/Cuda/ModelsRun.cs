using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Cuda;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>From the model store's memory to the device: the sample's model, and a generated checkpoint of the size that people load.</summary>
internal static class ModelsRun
{
    private const long TensorBytes = 128L << 20;
    private const int Rounds = 5;

    private static readonly long[] Shape = [TensorBytes / 2];
    private static readonly long[] Strides = [1];

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var folder = Directory.CreateTempSubdirectory("sllm-bench-models-");
        try
        {
            var table = new MarkdownTable("a model from the store to the device", "bytes", "load from disk, GB/s", "to device, ms", "GB/s", "of that the device's memory taken, ms", "GB/s without");
            var tensors = length.IsQuick ? 2 : 64;
            await GenerateAsync(Path.Combine(folder.FullName, "generated"), tensors);
            await AddRowAsync(table, folder.FullName, "generated");
            if (FindSample() is { } sample)
            {
                await AddRowAsync(table, Path.GetDirectoryName(sample)!, Path.GetFileName(sample));
            }
            else
            {
                Console.WriteLine("Notice: kjv-tiny is left out: run it in the repository, or set LPLLM_REPOSITORY to its folder.");
            }

            table.Print();
            Console.WriteLine("The copy is timed as a user sees it, the device's memory taken and all bytes there; how long the taking alone is was measured beside it. Goal for 8 GiB: at least 50 GB/s.");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task AddRowAsync(MarkdownTable table, string storagePath, string model)
    {
        var bytes = Directory.GetFiles(Path.Combine(storagePath, model), "tensor.data_*").Sum(path => new FileInfo(path).Length);
        var capacity = (bytes + (4L << 20)) / (2L << 20) * (2L << 20);
        var services = new ServiceCollection();
        services.AddCudaHostMemory();
        services.AddLocalPinnedPool(o => (o.CapacityBytes, o.SlabBytes) = (capacity, capacity));
        services.AddModelStore(o => (o.StoragePath, o.ThreadCount) = (storagePath, Environment.ProcessorCount));
        await using var provider = services.BuildServiceProvider();
        var store = provider.GetRequiredService<IModelStore>();
        var started = Stopwatch.GetTimestamp();
        using var handle = await store.OpenAsync(model);
        var loading = Stopwatch.GetElapsedTime(started);
        var device = CudaRuntime.Shared.Devices[0];
        var samples = new double[Rounds];
        var takings = new double[Rounds];
        for (var round = -1; round < Rounds; round++)
        {
            started = Stopwatch.GetTimestamp();
            using (await handle.CopyToDeviceAsync(device))
            {
                samples[Math.Max(0, round)] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }

            started = Stopwatch.GetTimestamp();
            using (device.Allocate(bytes))
            {
                takings[Math.Max(0, round)] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }
        }

        var (median, taking) = (Medians.Median(samples), Medians.Median(takings));
        table.Add(
            model,
            ByteSize.Format(bytes),
            $"{bytes / loading.TotalSeconds / 1e9:0.0}",
            $"{median:0.0}",
            $"{bytes / median / 1e6:0.0}",
            $"{taking:0.0}",
            $"{bytes / (median - taking) / 1e6:0.0}");
    }

    /// <summary>Each tensor with bytes of its own: a device or a disk that compresses would show.</summary>
    private static async Task GenerateAsync(string folder, int tensorCount)
    {
        Directory.CreateDirectory(folder);
        var index = new Dictionary<string, object[]>();
        var bytes = new byte[TensorBytes];
        await using var file = File.Create(Path.Combine(folder, "tensor.data_0"), bufferSize: 0);
        new Random(1).NextBytes(bytes);
        for (var i = 0; i < tensorCount; i++)
        {
            bytes[0] = (byte)i;
            index.Add(
                string.Create(CultureInfo.InvariantCulture, $"layers.{i}.weight"),
                [i * TensorBytes, TensorBytes, Shape, Strides, "torch.bfloat16"]);
            await file.WriteAsync(bytes);
        }

        await File.WriteAllTextAsync(Path.Combine(folder, "tensor_index.json"), JsonSerializer.Serialize(index));
    }

    private static string? FindSample()
    {
        var roots = new[] { Environment.GetEnvironmentVariable("LPLLM_REPOSITORY"), Environment.CurrentDirectory };
        return roots.OfType<string>().Select(root => Path.Combine(root, "samples", "models", "kjv-tiny")).FirstOrDefault(Directory.Exists);
    }
}
