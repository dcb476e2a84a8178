namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>Does nothing: what the script itself costs, which is in everybody's figures.</summary>
internal readonly struct NoHeap : IHeap<nint>
{
    public bool TryTake(long lengthBytes, int alignmentBytes, out nint block)
    {
        block = (nint)lengthBytes;
        return true;
    }

    public void Return(nint block)
    {
    }
}
