namespace LpLlm.Memory.Models;

/// <summary>A storage path of its own; gone with this.</summary>
internal sealed class TestFolder : IDisposable
{
    private const string Memory = "/dev/shm";

    /// <param name="inMemory">For many small files: there a flush to the disk costs nothing.</param>
    public TestFolder(bool inMemory = false) => Root = inMemory && Directory.Exists(Memory)
        ? Directory.CreateDirectory(Path.Combine(Memory, $"lpllm-models-{Guid.NewGuid():n}")).FullName
        : Directory.CreateTempSubdirectory("lpllm-models-").FullName;

    public string Root { get; }

    /// <summary>Makes a model's folder with the given files.</summary>
    public ModelFolder Model(string name, params (string File, byte[] Bytes)[] files)
    {
        var folder = new ModelFolder(name, Path.Combine(Root, name));
        Directory.CreateDirectory(folder.FullPath);
        foreach (var (file, bytes) in files)
        {
            File.WriteAllBytes(folder.PathOf(file), bytes);
        }

        return folder;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
