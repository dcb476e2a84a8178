using System.Diagnostics;
using System.Text.Json;

namespace LpLlm.Memory.Models;

/// <summary>A reader of the original's kind: Python, which knows the two kinds of files and nothing of ours.</summary>
public sealed class ForeignReaderTests : IDisposable
{
    private const string Reader = """
        import json, os, sys, zlib
        for folder in sys.argv[1:]:
            text = open(os.path.join(folder, "tensor_index.json")).read()
            index = json.loads(text)
            data, number = b"", 0
            while os.path.exists(os.path.join(folder, f"tensor.data_{number}")):
                data += open(os.path.join(folder, f"tensor.data_{number}"), "rb").read()
                number += 1
            tensors = {name: [zlib.crc32(data[offset:offset + size]), size, shape, stride, dtype] for name, (offset, size, shape, stride, dtype) in index.items()}
            print(json.dumps({"same_text": text == json.dumps(index), "files": number, "tensors": tensors, "order": list(index)}))
        """;

    private readonly TestFolder _folder = new(inMemory: true);

    [SkippableFact]
    public async Task Write_AnyCheckpoint_IsReadByPython()
    {
        var saved = new List<(string Folder, CheckpointPlan Plan, IReadOnlyList<SourceTensor> Tensors)>();
        for (var seed = 0; seed < 20; seed++)
        {
            var model = new ModelFolder("m", Path.Combine(_folder.Root, $"m{seed}"));
            var wanted = new RandomCheckpoint(seed);
            IReadOnlyList<SourceTensor> tensors = [.. wanted.Tensors, Sources.Tensor("odd \"name\" \u00e9\u6a21\ud83d\ude00\t\u007f", 5, seed)];
            await Sources.SaveAsync(model, tensors, wanted.PartitionBytes);
            saved.Add((model.FullPath, CheckpointPlan.Of(tensors, wanted.PartitionBytes), tensors));
        }

        var answers = (await ReadByPythonAsync(saved.Select(model => model.Folder))).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        answers.Should().HaveCount(20);
        foreach (var (answer, model) in answers.Zip(saved))
        {
            CheckAnswer(answer, model.Plan, model.Tensors);
        }
    }

    public void Dispose() => _folder.Dispose();

    private static void CheckAnswer(string line, CheckpointPlan plan, IReadOnlyList<SourceTensor> tensors)
    {
        using var answer = JsonDocument.Parse(line);
        answer.RootElement.GetProperty("same_text").GetBoolean().Should().BeTrue("the index is what json.dumps writes");
        answer.RootElement.GetProperty("files").GetInt32().Should().Be(plan.Partitions.Count);
        answer.RootElement.GetProperty("order").EnumerateArray().Select(name => name.GetString()).Should().Equal(tensors.Select(tensor => tensor.Name));
        foreach (var tensor in tensors)
        {
            var read = answer.RootElement.GetProperty("tensors").GetProperty(tensor.Name);
            read[0].GetUInt32().Should().Be(ZlibCrc(Sources.Read(tensor.Storage)), tensor.Name);
            read[2].EnumerateArray().Select(length => length.GetInt64()).Should().Equal(tensor.Shape);
            read[3].EnumerateArray().Select(stride => stride.GetInt64()).Should().Equal(tensor.Strides);
            read[4].GetString().Should().Be(tensor.ElementType);
        }
    }

    private static async Task<string> ReadByPythonAsync(IEnumerable<string> folders)
    {
        var start = new ProcessStartInfo("python3", ["-c", Reader, .. folders]) { RedirectStandardOutput = true };
        Process? process = null;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Skip.If(true, "there is no python3");
        }

        using (process)
        {
            var output = await process!.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30));
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
            process.ExitCode.Should().Be(0);
            return output;
        }
    }

    private static uint ZlibCrc(byte[] bytes)
    {
        var state = uint.MaxValue;
        foreach (var value in bytes)
        {
            state ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0xEDB88320u);
            }
        }

        return ~state;
    }
}
