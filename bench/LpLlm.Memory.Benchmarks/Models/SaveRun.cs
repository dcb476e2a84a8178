using System.Diagnostics;
using LpLlm.Memory.Benchmarks.Measuring;
using LpLlm.Memory.Benchmarks.Reporting;
using LpLlm.Memory.Models;

namespace LpLlm.Memory.Benchmarks.Models;

/// <summary>Saving a model, beside plain writes of the same bytes to the same disk. Both end when the bytes are on the disk.</summary>
internal static class SaveRun
{
    private const int TensorBytes = 64 << 20; // a matrix of 4096 x 8192 bfloat16
    private const int WriteBytes = 8 << 20;

    public static void Run(RunLength length)
    {
        var count = length.IsQuick ? 1 : 16;
        var folder = Directory.CreateTempSubdirectory("lpllm-save-");
        try
        {
            var bytes = new byte[TensorBytes];
            new Random(1).NextBytes(bytes);
            var samples = Interleaved.Measure<double>(
                [
                    () => Save(folder.FullName, bytes, count),
                    () => WritePlain(folder.FullName, bytes, count),
                    () => WriteDirect(folder.FullName, bytes, count),
                ],
                warmUpRounds: 1,
                length.PoolRounds);
            var table = new MarkdownTable($"save {ByteSize.Format((long)count * TensorBytes)}", "GB/s", "ratio to plain write");
            AddRow(table, "sllm-store: sums, file of checks, direct writes, fsync", samples[0], samples[1]);
            AddRow(table, "plain write of 8 MiB each, then fsync", samples[1], samples[1]);
            AddRow(table, "plain direct write of 8 MiB each, then fsync", samples[2], samples[1]);
            table.Print();
            Console.WriteLine($"CRC-32C alone: {Rate(() => Crc32C.Of(bytes), TensorBytes):0.0} GB/s on one core. A ratio above 1 is faster than the plain write.");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void AddRow(MarkdownTable table, string name, double[] rates, double[] plain) =>
        table.Add(name, $"{Medians.Median(rates):0.00}", $"{Medians.MedianRatio(rates, plain):0.00}");

    private static double Save(string folder, byte[] bytes, int count)
    {
        var model = ModelFolder.Of(folder, "model");
        var plan = CheckpointPlan.Of(
            [.. Enumerable.Range(0, count).Select(i => SourceTensor.RowMajor($"layers.{i}.weight", new MemoryStorage(bytes), [bytes.Length], "torch.uint8"))]);
        var rate = Rate(() => CheckpointWriter.WriteAsync(model, plan, []).GetAwaiter().GetResult(), (long)count * bytes.Length);
        Directory.Delete(model.FullPath, recursive: true);
        return rate;
    }

    private static double WritePlain(string folder, byte[] bytes, int count)
    {
        var path = Path.Combine(folder, "plain");
        var rate = Rate(
            () =>
            {
                using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write);
                for (long done = 0; done < (long)count * bytes.Length; done += WriteBytes)
                {
                    RandomAccess.Write(file, bytes.AsSpan((int)(done % bytes.Length), WriteBytes), done);
                }

                RandomAccess.FlushToDisk(file);
            },
            (long)count * bytes.Length);
        File.Delete(path);
        return rate;
    }

    private static double WriteDirect(string folder, byte[] bytes, int count)
    {
        var path = Path.Combine(folder, "direct");
        using var buffer = new AlignedBuffer(WriteBytes);
        bytes.AsSpan(0, WriteBytes).CopyTo(buffer.Span);
        var rate = Rate(
            () =>
            {
                var (file, _) = SaveNative.CreateFile(path, direct: true);
                using (file)
                {
                    for (long done = 0; done < (long)count * bytes.Length; done += WriteBytes)
                    {
                        SaveNative.Write(file, path, buffer.Span, done);
                    }

                    SaveNative.Sync(file, path);
                }
            },
            (long)count * bytes.Length);
        File.Delete(path);
        return rate;
    }

    private static double Rate(Action work, long lengthBytes)
    {
        var started = Stopwatch.GetTimestamp();
        work();
        return lengthBytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9;
    }
}
