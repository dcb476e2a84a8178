namespace LpLlm.Memory.Models;

/// <summary>A model as it lies on the disk: its data files and tensors, checked against each other. The data themselves are not read.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="Data">The data files.</param>
/// <param name="Tensors">The tensors in the order of the index; each lies in one data file.</param>
/// <param name="Checks">Null if the original saved it: then storage offsets are 0, and damage within tensors cannot be seen.</param>
internal sealed record Checkpoint(ModelFolder Folder, PartitionSet Data, IReadOnlyList<TensorInfo> Tensors, CheckFile? Checks)
{
    /// <exception cref="ModelStoreException">There is no such model, it is damaged, or it cannot be read.</exception>
    public static Checkpoint Read(ModelFolder folder)
    {
        var data = PartitionSet.Find(folder);
        var checks = CheckFileReader.TryRead(folder);
        if (checks is not null)
        {
            CheckSizes(folder, data, checks);
        }

        var text = folder.ReadAllBytes(folder.IndexPath);
        if (checks is not null)
        {
            CheckIndex(folder, text, checks);
        }

        var tensors = TensorIndex.Parse(folder, text, data.LengthBytes);
        if (checks is not null)
        {
            CheckSame(folder, tensors, checks.Tensors);
        }

        CheckBorders(folder, data, tensors);
        return new Checkpoint(folder, data, checks?.Tensors ?? tensors, checks);
    }

    /// <summary>What is wrong with the lengths of the data files, by file.</summary>
    public static IEnumerable<(string Path, string Problem)> CompareSizes(ModelFolder folder, PartitionSet data, CheckFile checks)
    {
        for (var i = 0; i < Math.Max(data.Partitions.Count, checks.FileBytes.Count); i++)
        {
            var path = folder.PartitionPath(i);
            if (i >= data.Partitions.Count)
            {
                yield return (path, $"does not exist; a file of {checks.FileBytes[i]} B was saved.");
            }
            else if (i >= checks.FileBytes.Count)
            {
                yield return (path, $"was not saved with this model ({data.Partitions[i].LengthBytes} B).");
            }
            else if (data.Partitions[i].LengthBytes != checks.FileBytes[i])
            {
                yield return (path, $"has {data.Partitions[i].LengthBytes} B, but {checks.FileBytes[i]} B were saved: it is cut short or was changed.");
            }
        }
    }

    /// <returns>What is wrong with the index's bytes; null if nothing is.</returns>
    public static string? CompareIndex(ReadOnlySpan<byte> text, CheckFile checks) =>
        text.Length != checks.IndexBytes ? $"has {text.Length} B, but {checks.IndexBytes} B were saved."
        : Crc32C.Of(text) is var sum && sum != checks.IndexChecksum
            ? $"was changed: its CRC-32C is {sum:x8}, but {checks.IndexChecksum:x8} was saved."
        : null;

    private static void CheckSizes(ModelFolder folder, PartitionSet data, CheckFile checks)
    {
        foreach (var (path, problem) in CompareSizes(folder, data, checks))
        {
            throw folder.Damaged(path, problem);
        }
    }

    private static void CheckIndex(ModelFolder folder, byte[] text, CheckFile checks)
    {
        if (CompareIndex(text, checks) is { } problem)
        {
            throw folder.Damaged(
                folder.IndexPath, $"{problem} Run 'sllm-store verify --repair'; if other software wrote this model anew, delete {folder.ChecksPath}.");
        }
    }

    private static void CheckSame(ModelFolder folder, IReadOnlyList<TensorInfo> tensors, IReadOnlyList<TensorInfo> expected)
    {
        for (var i = 0; i < Math.Max(tensors.Count, expected.Count); i++)
        {
            if (i >= tensors.Count || i >= expected.Count || !IsSame(tensors[i], expected[i]))
            {
                throw folder.Damaged(
                    folder.ChecksPath, $"differs from the index at tensor '{(i < expected.Count ? expected[i] : tensors[i]).Name}': they are not of one model.");
            }
        }
    }

    private static bool IsSame(TensorInfo a, TensorInfo b) =>
        (a.Name, a.OffsetBytes, a.LengthBytes, a.ElementType) == (b.Name, b.OffsetBytes, b.LengthBytes, b.ElementType)
        && a.Shape.SequenceEqual(b.Shape)
        && a.Strides.SequenceEqual(b.Strides);

    private static void CheckBorders(ModelFolder folder, PartitionSet data, IReadOnlyList<TensorInfo> tensors)
    {
        if (tensors.FirstOrDefault(tensor => data.Find(tensor.OffsetBytes, tensor.LengthBytes) is null) is { } tensor)
        {
            var file = data.Partitions.First(partition => tensor.OffsetBytes < partition.EndBytes);
            throw folder.Damaged(
                file.Path,
                $"ends at byte {file.EndBytes}, {file.EndBytes - tensor.OffsetBytes} B into tensor '{tensor.Name}' of {tensor.LengthBytes} B: "
                + "it is cut short or is not of this model.");
        }
    }
}
