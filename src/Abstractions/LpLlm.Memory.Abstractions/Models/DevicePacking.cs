namespace LpLlm.Memory;

/// <summary>
/// Where storages of a model lie in one buffer of a device: each once, whatever the number of tensors that share it, and each 256-byte aligned, so that an
/// odd length misaligns nothing behind it.
/// </summary>
internal sealed class DevicePacking
{
    private const long AlignmentBytes = 256;

    private readonly Dictionary<(long OffsetBytes, long LengthBytes), long> _targets = [];

    public DevicePacking(IReadOnlyList<TensorInfo> tensors)
    {
        Tensors = tensors;
        var ranges = new List<ModelRange>();
        foreach (var tensor in tensors.OrderBy(tensor => tensor.OffsetBytes).ThenBy(tensor => tensor.LengthBytes))
        {
            if (!_targets.TryAdd((tensor.OffsetBytes, tensor.LengthBytes), LengthBytes) || tensor.LengthBytes == 0)
            {
                continue;
            }

            Add(ranges, new ModelRange(tensor.OffsetBytes, LengthBytes, tensor.LengthBytes));
            LengthBytes = checked(LengthBytes + tensor.LengthBytes + AlignmentBytes - 1) & -AlignmentBytes;
        }

        Ranges = ranges;
    }

    /// <summary>The tensors, as they were given.</summary>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Length of the buffer; 0 where no tensor has a byte.</summary>
    public long LengthBytes { get; }

    /// <summary>What is to be copied, in the order of the model's data; what lies as close on the device as in the model is one range.</summary>
    public IReadOnlyList<ModelRange> Ranges { get; }

    /// <summary>Where a tensor's storage begins in the buffer.</summary>
    public long OffsetOf(TensorInfo tensor) => _targets[(tensor.OffsetBytes, tensor.LengthBytes)];

    /// <summary>A copy costs 5 us, which is 0.3 MiB: tensors of most models follow each other without a gap, or with one that the device has too.</summary>
    private static void Add(List<ModelRange> ranges, ModelRange next)
    {
        if (ranges.Count > 0 && ranges[^1] is var last && next.SourceOffset - last.SourceOffset == next.TargetOffset - last.TargetOffset)
        {
            ranges[^1] = last with { LengthBytes = next.SourceOffset - last.SourceOffset + next.LengthBytes };
            return;
        }

        ranges.Add(next);
    }
}
