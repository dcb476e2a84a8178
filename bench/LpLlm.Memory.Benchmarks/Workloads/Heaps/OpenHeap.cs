namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <param name="Heap">Ready for use.</param>
/// <param name="Owner">What to dispose after use; null when nothing has to be.</param>
internal readonly record struct OpenHeap<THeap>(THeap Heap, IDisposable? Owner = null) : IDisposable
{
    public void Dispose() => Owner?.Dispose();
}
