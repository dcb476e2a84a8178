namespace LpLlm.Memory.Models;

/// <summary>What can be checked of a model of the original, which says nothing of its bytes: that its tensors cover its files exactly once.</summary>
internal static class StructureCheck
{
    public static IEnumerable<Finding> Run(ModelFolder folder, PartitionSet data, IReadOnlyList<TensorInfo> tensors)
    {
        var end = 0L;
        var last = "the beginning";
        foreach (var tensor in RecordsOf(tensors))
        {
            var file = data.Partitions.First(partition => tensor.OffsetBytes < partition.EndBytes);
            if (tensor.OffsetBytes != end)
            {
                yield return new Finding(
                    folder.IndexPath,
                    $"tensor '{tensor.Name}' begins at byte {tensor.OffsetBytes}, but behind {last} byte {end} is expected: "
                    + (tensor.OffsetBytes < end ? "they overlap." : $"{tensor.OffsetBytes - end} B belong to no tensor."));
            }

            if (data.Find(tensor.OffsetBytes, tensor.LengthBytes) is null)
            {
                yield return new Finding(
                    file.Path,
                    $"ends at byte {file.EndBytes}, {file.EndBytes - tensor.OffsetBytes} B into tensor '{tensor.Name}' of {tensor.LengthBytes} B: it is cut short.");
            }

            end = Math.Max(end, RecordCheck.Pad(tensor.OffsetBytes + tensor.LengthBytes));
            last = $"tensor '{tensor.Name}'";
        }

        if (data.LengthBytes != end)
        {
            yield return new Finding(
                data.Partitions[^1].Path,
                $"ends at byte {data.LengthBytes} of all data, but {last} ends at byte {end} with the bytes that fill it up to a multiple of 8.");
        }
    }

    /// <summary>One tensor of each record, in the order of the files.</summary>
    public static IEnumerable<TensorInfo> RecordsOf(IEnumerable<TensorInfo> tensors) => tensors
        .Where(tensor => tensor.LengthBytes > 0)
        .DistinctBy(tensor => (tensor.OffsetBytes, tensor.LengthBytes))
        .OrderBy(tensor => tensor.OffsetBytes);
}
