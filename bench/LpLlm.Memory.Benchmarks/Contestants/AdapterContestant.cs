using LpLlm.Memory.Benchmarks.Holes;

namespace LpLlm.Memory.Benchmarks.Contestants;

internal sealed class AdapterContestant<TAdapter, TBlock>(string name, TAdapter adapter) : Contestant(name)
    where TAdapter : struct, IAdapter<TBlock>
    where TBlock : struct
{
    public override void RunPairs(long lengthBytes, int count)
    {
        var memory = adapter;
        for (var i = 0; i < count; i++)
        {
            memory.Return(memory.Rent(lengthBytes));
        }
    }

    public override HoleField LayOut(HoleShape shape, int holes) => new AdapterHoleField<TAdapter, TBlock>(adapter, shape, holes);
}
