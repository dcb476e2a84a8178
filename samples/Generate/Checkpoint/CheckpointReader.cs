namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>Reads the bfloat16 tensors of a checkpoint into pool memory, each checked against what the model needs.</summary>
internal sealed class CheckpointReader : IDisposable
{
    private const string ElementType = "torch.bfloat16";
    private const int ReadBytes = 64 << 20; // of one read call: small enough to be cancelled between, large enough for any disk
    private readonly Dictionary<string, TensorEntry> _entries;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);
    private readonly PartitionFiles _files;
    private readonly string _indexPath;

    public CheckpointReader(string directory)
    {
        _indexPath = Path.Combine(directory, TensorIndex.FileName);
        _entries = TensorIndex.Read(_indexPath);
        _files = new PartitionFiles(directory);
    }

    /// <summary>Reads a tensor into a lease of its own, without a copy in between. The caller disposes it.</summary>
    /// <exception cref="ModelFileException">The tensor is missing, is not what it should be, or its bytes are not there.</exception>
    public PinnedTensor<BFloat16> Read(
        IPinnedMemoryPool pool, string name, CancellationToken cancellationToken, params ReadOnlySpan<nint> shape)
    {
        var (handle, path, offsetBytes) = _files.Locate(Find(name, shape));
        var tensor = pool.RentTensor<BFloat16>(shape);
        try
        {
            var lease = tensor.Lease;
            for (long doneBytes = 0; doneBytes < lease.LengthBytes;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var part = lease.GetSpan(doneBytes, (int)Math.Min(ReadBytes, lease.LengthBytes - doneBytes));
                var readBytes = RandomAccess.Read(handle, part, offsetBytes + doneBytes);
                doneBytes += readBytes > 0
                    ? readBytes
                    : throw new ModelFileException(path, $"tensor '{name}' has {lease.LengthBytes} B, but the file ended after {doneBytes} B of it.");
            }

            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <summary>Refuses tensors that nothing has read: a model with more parts than we compute would give wrong text.</summary>
    /// <param name="isHarmless">Names of tensors that change nothing.</param>
    public void RefuseUnread(Predicate<string> isHarmless)
    {
        foreach (var entry in _entries.Values)
        {
            if (!_read.Contains(entry.Name) && !isHarmless(entry.Name))
            {
                throw new ModelFileException(
                    _indexPath, $"tensor '{entry.Name}' ({entry.ShapeText}, {entry.LengthBytes} B) is no part of the model that config.json describes (0 B).");
            }
        }
    }

    public void Dispose() => _files.Dispose();

    private TensorEntry Find(string name, ReadOnlySpan<nint> shape)
    {
        var wanted = Array.ConvertAll(shape.ToArray(), length => (long)length);
        var wantedBytes = wanted.Aggregate((Int128)2, (bytes, length) => bytes * length); // config.json may ask for more than 2^63 - 1
        var expected = $"{TensorEntry.FormatShape(wanted)} of {ElementType} ({wantedBytes} B) is expected";
        if (!_entries.TryGetValue(name, out var entry))
        {
            throw new ModelFileException(_indexPath, $"tensor '{name}' is missing: {expected}, the index has none (0 B).");
        }

        _read.Add(name);
        return entry.ElementType == ElementType && entry.Shape.SequenceEqual(wanted) && entry.LengthBytes == wantedBytes && entry.IsContiguous()
            ? entry
            : throw new ModelFileException(
                _indexPath,
                $"tensor '{name}': {expected}, the index has {entry.ShapeText} of {entry.ElementType} ({entry.LengthBytes} B)"
                + (entry.IsContiguous() ? "." : $" with strides {TensorEntry.FormatShape(entry.Strides)}, which is not row-major."));
    }
}
