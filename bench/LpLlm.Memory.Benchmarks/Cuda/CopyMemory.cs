namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Host memory that copies are timed from.</summary>
internal sealed class CopyMemory(string name, nint address, Action release) : IDisposable
{
    public string Name => name;

    public nint Address => address;

    public void Dispose() => release();
}
