namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>A heap full of holes, with tenants in some of them.</summary>
internal abstract class HoleField : IDisposable
{
    /// <summary>Rents and returns one block at a time; each lands in a hole.</summary>
    public abstract void RunPairs(int count);

    /// <summary>Returns a tenant taken at random and rents another of random length in its place.</summary>
    public abstract void RunReplacements(int count);

    public abstract void Dispose();
}
