namespace LpLlm.Memory.Models;

/// <summary>Where everything of a checkpoint comes to lie, decided before anything is written, as the original decides it.</summary>
/// <param name="Tensors">The index, in the order in which the tensors came.</param>
/// <param name="Partitions">The data files' records in order; each file has at least one.</param>
internal sealed record CheckpointPlan(IReadOnlyList<TensorInfo> Tensors, IReadOnlyList<IReadOnlyList<PlannedRecord>> Partitions)
{
    /// <summary>The original's limit: a file that would grow beyond it is followed by another.</summary>
    public const long DefaultPartitionBytes = 10L << 30;

    public IReadOnlyList<long> FileBytes => [.. Partitions.Select(records => records.Sum(record => record.PaddedBytes))];

    public long DataBytes => FileBytes.Sum();

    /// <param name="tensors">In the order of the model's state; each name once.</param>
    /// <param name="partitionBytes">A file is no longer than that, unless a single storage is.</param>
    /// <exception cref="ArgumentException">A tensor's shape, type or place in its storage cannot be, a name is there twice, or there are no bytes at all.</exception>
    public static CheckpointPlan Of(IReadOnlyList<SourceTensor> tensors, long partitionBytes = DefaultPartitionBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(partitionBytes);
        var offsets = new Dictionary<TensorStorage, long>(ReferenceEqualityComparer.Instance);
        var partitions = new List<List<PlannedRecord>>();
        var infos = new List<TensorInfo>(tensors.Count);
        long end = 0, partitionStart = 0;
        long? emptyOffset = null;
        foreach (var tensor in tensors)
        {
            Check(tensor);
            var lengthBytes = tensor.Storage.LengthBytes;
            if (lengthBytes == 0)
            {
                // In torch all storages without bytes have the same address, so in the original they share the first one's offset.
                emptyOffset ??= end;
            }
            else if (offsets.TryAdd(tensor.Storage, end))
            {
                if (partitions.Count == 0 || (end > partitionStart && end - partitionStart + lengthBytes > partitionBytes))
                {
                    partitions.Add([]);
                    partitionStart = end;
                }

                partitions[^1].Add(new PlannedRecord(tensor.Storage, end));
                end += partitions[^1][^1].PaddedBytes;
            }

            infos.Add(new TensorInfo(
                tensor.Name,
                lengthBytes == 0 ? emptyOffset!.Value : offsets[tensor.Storage],
                lengthBytes,
                tensor.Shape,
                tensor.Strides,
                tensor.ElementType,
                tensor.StorageOffset));
        }

        CheckAll(infos, end);
        return new CheckpointPlan(infos, partitions);
    }

    private static void Check(SourceTensor tensor)
    {
        var type = ElementType.FindTorch(tensor.ElementType)
            ?? throw new ArgumentException($"Tensor '{tensor.Name}' has elements of type '{tensor.ElementType}', which is not known.", nameof(tensor));
        if (tensor.Shape.Count != tensor.Strides.Count || tensor.Shape.Concat(tensor.Strides).Append(tensor.StorageOffset).Any(value => value < 0))
        {
            throw new ArgumentException(
                $"Tensor '{tensor.Name}' has shape {TensorEntry.Format(tensor.Shape)}, strides {TensorEntry.Format(tensor.Strides)} and offset "
                + $"{tensor.StorageOffset}; as many strides as lengths, and no negative value, are expected.",
                nameof(tensor));
        }

        var end = TensorExtent.EndBytes(tensor.Shape, tensor.Strides, tensor.StorageOffset, type.SizeBytes);
        if (end > tensor.Storage.LengthBytes)
        {
            throw new ArgumentException(
                $"Tensor '{tensor.Name}' reaches to byte {end} of its storage, which has {tensor.Storage.LengthBytes} B.", nameof(tensor));
        }
    }

    private static void CheckAll(List<TensorInfo> tensors, long dataBytes)
    {
        if (tensors.GroupBy(tensor => tensor.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"Tensor '{twice.Key}' is there twice.", nameof(tensors));
        }

        if (dataBytes == 0)
        {
            throw new ArgumentException($"The {tensors.Count} tensors have no bytes at all (0 B); a model of that kind cannot be loaded.", nameof(tensors));
        }
    }
}
