using System.Globalization;

namespace LpLlm.Memory.Models;

/// <summary>A storage path of its own on a real file system, with models of random bytes. Disposing deletes it.</summary>
internal sealed class ModelFiles(string? parent = null) : IDisposable
{
    public string StoragePath { get; } = parent is null
        ? Directory.CreateTempSubdirectory("models-").FullName
        : Directory.CreateDirectory(Path.Combine(parent, "models-" + Guid.NewGuid().ToString("N"))).FullName;

    /// <summary>Writes data files without an index.</summary>
    /// <returns>All bytes, one file behind the other.</returns>
    public byte[] Add(string model, params int[] partitionBytes)
    {
        Directory.CreateDirectory(Path.Combine(StoragePath, model));
        var all = new byte[partitionBytes.Sum()];
        new Random(partitionBytes.Length + partitionBytes[0]).NextBytes(all);
        var offset = 0;
        for (var i = 0; i < partitionBytes.Length; i++)
        {
            File.WriteAllBytes(PathOf(model, i), all[offset..(offset + partitionBytes[i])]);
            offset += partitionBytes[i];
        }

        return all;
    }

    public void AddIndex(string model, string json) => File.WriteAllText(Path.Combine(StoragePath, model, "tensor_index.json"), json);

    public string PathOf(string model, int partition) =>
        Path.Combine(StoragePath, model, string.Create(CultureInfo.InvariantCulture, $"tensor.data_{partition}"));

    public void Dispose() => Directory.Delete(StoragePath, recursive: true);
}
