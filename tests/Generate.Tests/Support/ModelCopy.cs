using System.Text.Json.Nodes;
using LpLlm.Memory.Samples.Generate.Cli;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>A copy of the model in a temporary folder, to be spoiled.</summary>
internal sealed class ModelCopy : IDisposable
{
    public ModelCopy()
    {
        foreach (var file in Directory.EnumerateFiles(new GenerateOptions().ModelDirectory))
        {
            File.Copy(file, PathOf(Path.GetFileName(file)));
        }
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("generate-model-").FullName;

    public string ConfigPath => PathOf("config.json");

    public string IndexPath => PathOf("tensor_index.json");

    public string PartitionPath(int number) => PathOf($"tensor.data_{number}");

    public void EditConfig(Action<JsonObject> edit) => Edit(ConfigPath, edit);

    public void EditIndex(Action<JsonObject> edit) => Edit(IndexPath, edit);

    public void Truncate(int partition, long lengthBytes)
    {
        using var file = File.OpenWrite(PartitionPath(partition));
        file.SetLength(lengthBytes);
    }

    /// <summary>Cuts the one data file into several.</summary>
    public void Split(params long[] cutsBytes)
    {
        var bytes = File.ReadAllBytes(PartitionPath(0));
        long[] ends = [.. cutsBytes, bytes.Length];
        for (var i = 0; i < ends.Length; i++)
        {
            File.WriteAllBytes(PartitionPath(i), bytes[(int)(i == 0 ? 0 : ends[i - 1])..(int)ends[i]]);
        }
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static void Edit(string path, Action<JsonObject> edit)
    {
        var root = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(root);
        File.WriteAllText(path, root.ToJsonString());
    }

    private string PathOf(string name) => Path.Combine(Folder, name);
}
