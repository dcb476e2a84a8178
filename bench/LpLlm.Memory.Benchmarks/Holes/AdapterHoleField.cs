using LpLlm.Memory.Benchmarks.Contestants;

namespace LpLlm.Memory.Benchmarks.Holes;

internal sealed class AdapterHoleField<TAdapter, TBlock> : HoleField
    where TAdapter : struct, IAdapter<TBlock>
    where TBlock : struct
{
    private const int StepBytes = 256;

    private readonly TAdapter _adapter;
    private readonly HoleShape _shape;
    private readonly TBlock[] _separators;
    private readonly TBlock[] _tenants;
    private XorShift _random = new(2_463_534_242);

    public AdapterHoleField(TAdapter adapter, HoleShape shape, int holes)
    {
        _adapter = adapter;
        _shape = shape;
        _separators = new TBlock[holes];
        var fillings = new TBlock[holes];
        for (var i = 0; i < holes; i++)
        {
            fillings[i] = adapter.Rent(RandomLength(shape.MinHoleBytes));
            _separators[i] = adapter.Rent(shape.SeparatorBytes);
        }

        // In random order: chains of free blocks are then as scattered as after hours of use.
        new Random(1).Shuffle(fillings);
        foreach (var filling in fillings)
        {
            adapter.Return(filling);
        }

        _tenants = new TBlock[holes / 2];
        for (var i = 0; i < _tenants.Length; i++)
        {
            _tenants[i] = adapter.Rent(RandomLength(shape.MinTenantBytes));
        }
    }

    public override void RunPairs(int count)
    {
        var memory = _adapter;
        var lengthBytes = _shape.PairBytes;
        for (var i = 0; i < count; i++)
        {
            memory.Return(memory.Rent(lengthBytes));
        }
    }

    public override void RunReplacements(int count, int tenants)
    {
        var memory = _adapter;
        tenants = Math.Min(tenants, _tenants.Length);
        for (var i = 0; i < count; i++)
        {
            ref var tenant = ref _tenants[_random.Next(tenants)];
            memory.Return(tenant);
            tenant = memory.Rent(RandomLength(_shape.MinTenantBytes));
        }
    }

    public override void Dispose()
    {
        foreach (var block in _tenants.Concat(_separators))
        {
            _adapter.Return(block);
        }
    }

    private long RandomLength(long minBytes) =>
        minBytes + ((long)StepBytes * _random.Next((int)((_shape.MaxHoleBytes - minBytes) / StepBytes) + 1));
}
