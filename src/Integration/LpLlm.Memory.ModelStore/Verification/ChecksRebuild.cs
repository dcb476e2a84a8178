namespace LpLlm.Memory.Models;

/// <summary>Writes the file of checks for a model that has none, or a damaged one. Its sums are those of the data as they are now.</summary>
internal static class ChecksRebuild
{
    public static string Run(ModelFolder folder, VerifyReport report, CancellationToken cancellationToken)
    {
        if (report.Findings.Any(finding => finding.Repair != RepairKind.Checks))
        {
            return $"{folder.ChecksPath} was not written: it would declare the damage sound.";
        }

        var data = PartitionSet.Find(folder);
        var tensors = TensorIndex.Read(folder, data.LengthBytes);
        if (tensors.FirstOrDefault(IsOpen) is { } view)
        {
            return $"{folder.ChecksPath} was not written: tensor '{view.Name}' is smaller than its storage of {view.LengthBytes} B, and where in it "
                + "it begins stands nowhere else. Save the model again.";
        }

        var records = StructureCheck.RecordsOf(tensors).Select(tensor => Sum(data, tensor, cancellationToken)).ToList();
        ClearPadding(data, records);
        var index = folder.ReadAllBytes(folder.IndexPath);
        AtomicFile.Write(folder.ChecksPath, CheckFile.Of([.. data.Partitions.Select(file => file.LengthBytes)], index, records, tensors).Format());
        return $"{folder.ChecksPath} was written. Its sums are those of the data as they are now: damage that was there before is not found by them.";
    }

    /// <summary>Whether a tensor could begin elsewhere than at its storage's first byte.</summary>
    private static bool IsOpen(TensorInfo tensor)
    {
        var size = ElementType.FindTorch(tensor.ElementType)!.SizeBytes;
        return TensorExtent.EndBytes(tensor.Shape, tensor.Strides, 0, size) + size <= tensor.LengthBytes && !tensor.Shape.Contains(0);
    }

    private static RecordCheck Sum(PartitionSet data, TensorInfo tensor, CancellationToken cancellationToken)
    {
        var partition = data.Find(tensor.OffsetBytes, tensor.LengthBytes)!;
        using var file = File.OpenHandle(partition.Path);
        var sum = new Crc32C();
        var buffer = new byte[(int)Math.Min(4 << 20, tensor.LengthBytes)];
        for (long doneBytes = 0; doneBytes < tensor.LengthBytes;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.LengthBytes - doneBytes));
            FileStorage.ReadExactly(partition.Path, file, tensor.OffsetBytes - partition.OffsetBytes + doneBytes, part);
            sum.Append(part);
            doneBytes += part.Length;
        }

        return new RecordCheck(tensor.OffsetBytes, tensor.LengthBytes, sum.Value);
    }

    /// <summary>The original leaves whatever was in its memory between records.</summary>
    private static void ClearPadding(PartitionSet data, List<RecordCheck> records)
    {
        foreach (var group in records.Where(record => record.PaddedEndBytes > record.EndBytes).GroupBy(record => data.Find(record.OffsetBytes, record.LengthBytes)!))
        {
            using var file = File.OpenHandle(group.Key.Path, FileMode.Open, FileAccess.Write);
            foreach (var record in group)
            {
                SaveNative.Write(file, group.Key.Path, new byte[record.PaddedEndBytes - record.EndBytes], record.EndBytes - group.Key.OffsetBytes);
            }

            SaveNative.Sync(file, group.Key.Path);
        }
    }
}
