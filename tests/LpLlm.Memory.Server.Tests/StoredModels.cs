using System.Globalization;

namespace LpLlm.Memory.Tests;

/// <summary>A storage path with models of random bytes, and tensors <c>first</c> and <c>rest</c> in each; gone with this.</summary>
internal sealed class StoredModels : IDisposable
{
    private const int FirstBytes = 1000;

    public string Path { get; } = Directory.CreateTempSubdirectory("lpllm-models-").FullName;

    /// <returns>The data.</returns>
    public byte[] Add(string model, int lengthBytes)
    {
        var data = new byte[lengthBytes];
        new Random(lengthBytes).NextBytes(data);
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(Path, model)).FullName;
        File.WriteAllBytes(DataPath(model), data);
        var rest = lengthBytes - FirstBytes;
        File.WriteAllText(
            System.IO.Path.Combine(folder, "tensor_index.json"),
            string.Create(
                CultureInfo.InvariantCulture,
                $$"""{"first": [0, {{FirstBytes}}, [{{FirstBytes}}], [1], "torch.uint8"], "rest": [{{FirstBytes}}, {{rest}}, [{{rest}}], [1], "torch.uint8"]}"""));
        return data;
    }

    public string DataPath(string model) => System.IO.Path.Combine(Path, model, "tensor.data_0");

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
