namespace LpLlm.Memory.Tests.Sources;

/// <summary>A tree of small files in place of /proc or /sys.</summary>
internal sealed class Folders : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("folders").FullName;

    public Folders Write(string path, string text)
    {
        var file = Path.Combine(Root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return this;
    }

    /// <summary>2 MiB pages, as sysfs counts them.</summary>
    public Folders WriteHugePages(
        long total, long free, long claimed = 0, long overcommit = 0, string folder = "kernel/mm/hugepages/hugepages-2048kB") => this
        .Write($"{folder}/nr_hugepages", $"{total}\n")
        .Write($"{folder}/free_hugepages", $"{free}\n")
        .Write($"{folder}/resv_hugepages", $"{claimed}\n")
        .Write($"{folder}/nr_overcommit_hugepages", $"{overcommit}\n")
        .Write($"{folder}/surplus_hugepages", "0\n");

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
