namespace LpLlm.Memory.Transport.Models;

/// <summary>A model that is in memory, and stays there until this is disposed; once, by any thread.</summary>
/// <param name="leaseId">The store's lease of its memory.</param>
/// <param name="lengthBytes">Length of the data; the memory may be longer.</param>
/// <param name="tensors">Its index.</param>
/// <param name="keeper">Disposed with this.</param>
internal sealed class ServedModel(ulong leaseId, long lengthBytes, IReadOnlyList<TensorInfo> tensors, IDisposable keeper) : IDisposable
{
    public ulong LeaseId => leaseId;

    public long LengthBytes => lengthBytes;

    public IReadOnlyList<TensorInfo> Tensors => tensors;

    public void Dispose() => keeper.Dispose();
}
