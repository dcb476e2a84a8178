using System.Globalization;

namespace LpLlm.Memory.Benchmarks.Serving;

/// <summary>A storage path with models of holes: reading them costs no disk, which is not what is measured.</summary>
internal sealed class BenchmarkModels : IDisposable
{
    /// <summary>As many as a model of 7 billion parameters has, about.</summary>
    public const int TensorCount = 300;

    public string Path { get; } = Directory.CreateTempSubdirectory("sllm-bench-models-").FullName;

    public void Add(string model, long lengthBytes)
    {
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(Path, model)).FullName;
        using (var data = File.Create(System.IO.Path.Combine(folder, "tensor.data_0")))
        {
            data.SetLength(lengthBytes);
        }

        var each = lengthBytes / TensorCount / 8 * 8;
        var tensors = Enumerable.Range(0, TensorCount).Select(i => string.Create(
            CultureInfo.InvariantCulture, $"\"model.layers.{i}.weight\": [{i * each}, {each}, [{each / 2}], [1], \"torch.bfloat16\"]"));
        File.WriteAllText(System.IO.Path.Combine(folder, "tensor_index.json"), $"{{{string.Join(", ", tensors)}}}");
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
