using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Models;

/// <summary>A storage path of its own on a real file system, with models of random bytes. Disposing deletes it.</summary>
internal sealed partial class ModelFiles(string? parent = null) : IDisposable
{
    private const int DontNeed = 4;

    public string StoragePath { get; } = parent is null
        ? Directory.CreateTempSubdirectory("models-").FullName
        : Directory.CreateDirectory(Path.Combine(parent, "models-" + Guid.NewGuid().ToString("N"))).FullName;

    /// <summary>Writes data files without an index, and takes them out of the page cache, so that loads read the disk.</summary>
    /// <returns>All bytes, one file behind the other.</returns>
    public byte[] Add(string model, params int[] partitionBytes)
    {
        Directory.CreateDirectory(Path.Combine(StoragePath, model));
        var all = new byte[partitionBytes.Sum()];
        new Random(partitionBytes.Length + partitionBytes[0]).NextBytes(all);
        var offset = 0;
        for (var i = 0; i < partitionBytes.Length; i++)
        {
            using var file = File.OpenHandle(PathOf(model, i), FileMode.Create, FileAccess.Write);
            RandomAccess.Write(file, all.AsSpan(offset, partitionBytes[i]), 0);
            RandomAccess.FlushToDisk(file);
            Advise(file, 0, 0, DontNeed).Should().Be(0);
            offset += partitionBytes[i];
        }

        return all;
    }

    public void AddIndex(string model, string json) => File.WriteAllText(Path.Combine(StoragePath, model, "tensor_index.json"), json);

    public string PathOf(string model, int partition) =>
        Path.Combine(StoragePath, model, string.Create(CultureInfo.InvariantCulture, $"tensor.data_{partition}"));

    public void Dispose() => Directory.Delete(StoragePath, recursive: true);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int Advise(SafeFileHandle file, long offsetBytes, long lengthBytes, int advice);
}
