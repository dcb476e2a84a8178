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
    private const int AtOnce = 4;

    // An H100's driver overwrites memory that is freed: 8 GiB in 21 ms, and copies run at 7 GB/s meanwhile. Whoever is measured next must not pay for it.
    private static readonly TimeSpan Overwriting = TimeSpan.FromMilliseconds(50);

    private static readonly long[] Shape = [TensorBytes / 2];
    private static readonly long[] Strides = [1];

    public static void Run(RunLength length) => RunAsync(length).GetAwaiter().GetResult();

    private static async Task RunAsync(RunLength length)
    {
        var folder = Directory.CreateTempSubdirectory("sllm-bench-models-");
        try
        {
            var table = new MarkdownTable(
                "a model from the store to the device", "bytes", "load from disk, GB/s", "to new memory, GB/s", "to memory that is there, GB/s",
                "ratio to cuMemHostAlloc's", $"{AtOnce} at once, GB/s", "its memory, a bare copy, GB/s", "cuMemHostAlloc's, GB/s");
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
                "A handle's copies as a program awaits them, beside bare copies on one stream whose end is polled for. New memory is taken and freed for each copy. "
                + "Goal: at least 50 GB/s.");
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
        var buffers = Enumerable.Range(0, AtOnce).Select(_ => device.Allocate(handle.GetDeviceLengthBytes())).ToList();
        using var stream = device.CreateStream();
        var isLarge = bytes > 1L << 30;
        var samples = Interleaved.Measure<double>(
            [
                () => Rate(bytes, () => CopyToNew(handle, device, isLarge)),
                () => Rate(bytes, () => handle.CopyToDeviceAsync(device, buffers[0]).AsTask().GetAwaiter().GetResult()),
                () => Rate(AtOnce * bytes, () => CopyAtOnceAsync(handle, device, buffers).GetAwaiter().GetResult()),
                () => Rate(bytes, () => Copy(stream, handle.Address, buffers[0].Address, bytes)),
                () => Rate(bytes, () => Copy(stream, peer, buffers[0].Address, bytes)),
            ],
            warmUpRounds: isLarge ? 1 : 30, // what is short is compiled first
            isLarge ? 5 : 31);
        PeerCalls.HostFree(peer);
        buffers.ForEach(buffer => buffer.Dispose());
        table.Add(
            model,
            ByteSize.Format(bytes),
            $"{bytes / loading.TotalSeconds / 1e9:0.0}",
            $"{Medians.Median(samples[0]):0.0}",
            $"{Medians.Median(samples[1]):0.0}",
            $"{Medians.MedianRatio(samples[1], samples[4]):0.000}",
            $"{Medians.Median(samples[2]):0.0}",
            $"{Medians.Median(samples[3]):0.0}",
            $"{Medians.Median(samples[4]):0.0}");
    }

    /// <summary>Of the second of two copies: the first wakes what slept, on either side of the link.</summary>
    private static double Rate(long bytes, Func<TimeSpan> copy)
    {
        copy();
        return bytes / copy().TotalSeconds / 1e9;
    }

    private static double Rate(long bytes, Action copy) => Rate(bytes, () =>
    {
        var started = Stopwatch.GetTimestamp();
        copy();
        return Stopwatch.GetElapsedTime(started);
    });

    private static TimeSpan CopyToNew(ModelHandle handle, IMemoryDevice device, bool isLarge)
    {
        var started = Stopwatch.GetTimestamp();
        handle.CopyToDeviceAsync(device).AsTask().GetAwaiter().GetResult().Dispose();
        var time = Stopwatch.GetElapsedTime(started);
        if (isLarge)
        {
            Thread.Sleep(Overwriting);
        }

        return time;
    }

    private static Task<DeviceModel[]> CopyAtOnceAsync(ModelHandle handle, IMemoryDevice device, List<IDeviceBuffer> buffers) =>
        Task.WhenAll(buffers.Select(buffer => Task.Run(async () => await handle.CopyToDeviceAsync(device, buffer))));

    private static void Copy(IDeviceStream stream, nint host, nint device, long bytes)
    {
        stream.CopyToDevice(host, device, bytes);
        FencePolling.Wait(stream.Record());
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
