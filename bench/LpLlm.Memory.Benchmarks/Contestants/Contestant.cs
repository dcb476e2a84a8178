using LpLlm.Memory.Benchmarks.Holes;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>A named adapter, with the loops that are measured on it. One virtual call a batch, none inside.</summary>
internal abstract class Contestant(string name)
{
    public string Name => name;

    /// <summary>Rents and returns one block at a time.</summary>
    public abstract void RunPairs(long lengthBytes, int count);

    /// <summary>Lays out blocks and holes; disposing gives all blocks back.</summary>
    public abstract HoleField LayOut(HoleShape shape, int holes);
}
