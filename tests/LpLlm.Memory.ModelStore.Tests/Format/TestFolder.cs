namespace LpLlm.Memory.Models.Tests;

/// <summary>A storage path of its own; gone with this.</summary>
internal sealed class TestFolder : IDisposable
{
    public TestFolder(string? parent = null) =>
        Root = parent is null ? Directory.CreateTempSubdirectory("lpllm-models-").FullName : Directory.CreateDirectory(parent).FullName;

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
