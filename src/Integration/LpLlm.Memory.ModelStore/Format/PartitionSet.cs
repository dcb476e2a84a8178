using System.Globalization;

namespace LpLlm.Memory.Models;

/// <summary>A model's data files <c>tensor.data_0</c> to <c>tensor.data_N</c>, addressed as if they were one.</summary>
internal sealed record PartitionSet(IReadOnlyList<Partition> Partitions)
{
    public long LengthBytes => Partitions[^1].EndBytes;

    /// <summary>Finds the files, up to the first number that is missing.</summary>
    /// <exception cref="ModelStoreException">There is no such model; there are no data, or a file between others is missing; they cannot be looked at.</exception>
    public static PartitionSet Find(ModelFolder folder)
    {
        try
        {
            var partitions = new List<Partition>();
            for (var path = folder.PartitionPath(0); File.Exists(path); path = folder.PartitionPath(partitions.Count))
            {
                partitions.Add(new Partition(path, partitions.Count == 0 ? 0 : partitions[^1].EndBytes, LengthOf(path)));
            }

            Check(folder, partitions);
            return new PartitionSet(partitions);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw folder.Unreadable(folder.FullPath, e);
        }
    }

    /// <summary>The file in which a range begins and which holds all of it; null if none does. An empty range lies at any border.</summary>
    public Partition? Find(long offsetBytes, long lengthBytes) => Partitions.FirstOrDefault(partition =>
        offsetBytes >= partition.OffsetBytes && offsetBytes <= partition.EndBytes && lengthBytes <= partition.EndBytes - offsetBytes);

    /// <summary>FileInfo would say the length of a symbolic link itself; large files are often links to another disk.</summary>
    private static long LengthOf(string path)
    {
        using var file = File.OpenHandle(path);
        return RandomAccess.GetLength(file);
    }

    private static void Check(ModelFolder folder, List<Partition> partitions)
    {
        if (!Directory.Exists(folder.FullPath))
        {
            throw new ModelStoreException(ModelStoreFault.NotFound, folder.Model, $"{folder.FullPath} does not exist; 'sllm-store save' makes models.");
        }

        // A file with a higher number says that the one behind the last is missing, and is not the end.
        var later = Directory.EnumerateFiles(folder.FullPath, ModelFolder.PartitionPrefix + "*")
            .Select(path => Path.GetFileName(path)[ModelFolder.PartitionPrefix.Length..])
            .Any(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value > partitions.Count);
        var missing = folder.PartitionPath(partitions.Count);
        if (later)
        {
            throw folder.Damaged(missing, "does not exist, but data files with higher numbers do.");
        }

        if (partitions.Count == 0)
        {
            throw new ModelStoreException(ModelStoreFault.NotFound, folder.Model, $"{missing} does not exist: the folder holds no model.");
        }

        if (partitions[^1].EndBytes == 0)
        {
            throw folder.Damaged(partitions[0].Path, "is empty: the model has no data (0 B).");
        }
    }
}
