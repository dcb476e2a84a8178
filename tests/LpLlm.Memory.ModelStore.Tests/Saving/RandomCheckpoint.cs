namespace LpLlm.Memory.Models;

/// <summary>Tensors of any kind: types, shapes, scalars, none at all, ties, views with offsets and steps, odd lengths.</summary>
internal sealed class RandomCheckpoint
{
    private readonly Random _random;
    private readonly List<SourceTensor> _tensors = [];

    public RandomCheckpoint(int seed)
    {
        _random = new Random(seed);
        PartitionBytes = _random.Next(3) switch { 0 => 1, 1 => _random.Next(1, 400), _ => CheckpointPlan.DefaultPartitionBytes };
        _tensors.Add(Sources.Tensor("first", _random.Next(1, 40), seed));
        var count = _random.Next(0, 12);
        for (var i = 0; i < count; i++)
        {
            _tensors.Add(_random.Next(4) == 0 ? Tie($"tensor.{i}") : New($"tensor.{i}"));
        }
    }

    public long PartitionBytes { get; }

    public IReadOnlyList<SourceTensor> Tensors => _tensors;

    private SourceTensor New(string name)
    {
        var type = ElementType.All[_random.Next(ElementType.All.Count)];
        var shape = Enumerable.Range(0, _random.Next(4)).Select(_ => (long)_random.Next(5)).ToArray();
        var strides = _random.Next(3) == 0 ? [.. shape.Select(_ => (long)_random.Next(4))] : TensorExtent.RowMajorStrides(shape);
        var offset = _random.Next(3) == 0 ? _random.Next(20) : 0;
        var needed = (int)TensorExtent.EndBytes(shape, strides, offset, type.SizeBytes);
        var storage = Sources.Bytes(needed + (_random.Next(3) == 0 ? _random.Next(30) : 0), _random.Next());
        return new SourceTensor(name, storage, shape, strides, type.Torch, offset);
    }

    private SourceTensor Tie(string name)
    {
        var other = _tensors[_random.Next(_tensors.Count)];
        return other with { Name = name, Shape = [.. other.Shape.Reverse()], Strides = [.. other.Strides.Reverse()] };
    }
}
