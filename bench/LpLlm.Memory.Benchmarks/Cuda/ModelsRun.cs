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
            var table = new MarkdownTable(
                "a model from the store to the device", "bytes", "load from disk, GB/s", "to device, GB/s", "its memory in one copy, GB/s",
                "cuMemHostAlloc's, GB/s", "ratio to that");
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
            Console.WriteLine(
                "To device: as a user sees it, memory taken on the device and all bytes there. Beside it bare copies on one stream. Goal for 8 GiB: at least 50 GB/s.");
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
        var peer = PeerCalls.HostAllocate(bytes);
        using var buffer = device.Allocate(bytes);
        using var stream = device.CreateStream();
        var samples = Interleaved.Measure<double>(
            [
                () => Rate(bytes, () => handle.CopyToDeviceAsync(device).AsTask().GetAwaiter().GetResult()),
                () => Rate(bytes, () => Copy(stream, handle.Address, buffer.Address, bytes)),
                () => Rate(bytes, () => Copy(stream, peer, buffer.Address, bytes)),
            ],
            warmUpRounds: 1,
            Rounds);
        PeerCalls.HostFree(peer);
        table.Add(
            model,
            ByteSize.Format(bytes),
            $"{bytes / loading.TotalSeconds / 1e9:0.0}",
            $"{Medians.Median(samples[0]):0.0}",
            $"{Medians.Median(samples[1]):0.0}",
            $"{Medians.Median(samples[2]):0.0}",
            $"{Medians.MedianRatio(samples[0], samples[2]):0.000}");
    }

    private static double Rate(long bytes, Func<IDisposable?> copy)
    {
        var started = Stopwatch.GetTimestamp();
        using var copied = copy();
        return bytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }

    private static IDisposable? Copy(IDeviceStream stream, nint host, nint device, long bytes)
    {
        stream.CopyToDevice(host, device, bytes);
        var fence = stream.Record();
        while (!fence.IsCompleted)
        {
            Thread.SpinWait(20);
        }

        return null;
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
