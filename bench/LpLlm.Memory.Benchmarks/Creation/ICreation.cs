namespace LpLlm.Memory.Benchmarks.Creation;

/// <summary>One way to make page-locked memory; not timed inside.</summary>
internal interface ICreation
{
    string Name { get; }

    /// <summary>Makes it ready for use; disposing gives it back.</summary>
    IDisposable Create(long lengthBytes);
}
