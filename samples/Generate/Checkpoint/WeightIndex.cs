namespace LpLlm.Memory.Samples.Generate.Checkpoint;

/// <summary>Finds the bfloat16 tensors of an open model, each checked against what is to be computed.</summary>
/// <param name="model">The model.</param>
/// <param name="path">Its index, for messages.</param>
internal sealed class WeightIndex(ModelHandle model, string path)
{
    private const string ElementType = "torch.bfloat16";
    private readonly HashSet<string> _found = new(StringComparer.Ordinal);

    /// <exception cref="ModelFileException">The tensor is missing, or is not what it should be.</exception>
    public Weight Find(string name, params nint[] shape)
    {
        var wanted = Array.ConvertAll(shape, length => (long)length);
        var wantedBytes = wanted.Aggregate((Int128)2, (bytes, length) => bytes * length); // config.json may ask for more than 2^63 - 1
        var expected = $"{Format(wanted)} of {ElementType} ({wantedBytes} B) is expected";
        if (!model.Tensors.TryGetValue(name, out var tensor))
        {
            throw new ModelFileException(path, $"tensor '{name}' is missing: {expected}, the index has none (0 B).");
        }

        _found.Add(name);
        var isContiguous = IsContiguous(tensor);
        return tensor.ElementType == ElementType && tensor.Shape.SequenceEqual(wanted) && tensor.LengthBytes == wantedBytes && isContiguous
            ? new Weight(model, name, shape)
            : throw new ModelFileException(
                path,
                $"tensor '{name}': {expected}, the index has {Format(tensor.Shape)} of {tensor.ElementType} ({tensor.LengthBytes} B)"
                + (isContiguous ? "." : $" with strides {Format(tensor.Strides)}, which is not row-major."));
    }

    /// <summary>Refuses tensors that nothing has asked for: a model with more parts than we compute would give wrong text.</summary>
    /// <param name="isHarmless">Names of tensors that change nothing.</param>
    public void RefuseOthers(Predicate<string> isHarmless)
    {
        if (model.Tensors.Values.FirstOrDefault(tensor => !_found.Contains(tensor.Name) && !isHarmless(tensor.Name)) is { } other)
        {
            throw new ModelFileException(
                path, $"tensor '{other.Name}' ({Format(other.Shape)}, {other.LengthBytes} B) is no part of the model that config.json describes (0 B).");
        }
    }

    private static string Format(IEnumerable<long> lengths) => $"[{string.Join(", ", lengths)}]";

    /// <summary>Whether the elements follow each other in row-major order. The step of a dimension of length 1 says nothing.</summary>
    private static bool IsContiguous(TensorInfo tensor)
    {
        Int128 step = 1; // a product of lengths out of a broken file may exceed 2^63 - 1
        for (var dimension = tensor.Shape.Count - 1; dimension >= 0; dimension--)
        {
            if (tensor.Shape[dimension] != 1 && tensor.Strides[dimension] != step)
            {
                return false;
            }

            step *= tensor.Shape[dimension];
        }

        return tensor.StorageOffset == 0;
    }
}
