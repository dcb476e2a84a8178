namespace LpLlm.Memory.Benchmarks.Holes;

/// <summary>A heap full of holes, with tenants in half of them.</summary>
internal abstract class HoleField : IDisposable
{
    /// <summary>Rents and returns one block at a time; each lands in a hole.</summary>
    public abstract void RunPairs(int count);

    /// <summary>Returns a tenant taken at random from the first so many, and rents another of random length in its place.</summary>
    public abstract void RunReplacements(int count, int tenants);

    public abstract void Dispose();
}
