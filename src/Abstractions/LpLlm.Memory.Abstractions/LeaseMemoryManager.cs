using System.Buffers;

namespace LpLlm.Memory;

/// <summary>Gives a lease as <see cref="Memory{T}"/>. No finalizer, and disposing it is not returning the lease (CA2015).</summary>
internal sealed unsafe class LeaseMemoryManager<T>(PinnedLease lease, int count) : MemoryManager<T>
    where T : unmanaged
{
    public override Span<T> GetSpan() => new((void*)lease.Address, count);

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(elementIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(elementIndex, count);
        return new MemoryHandle((T*)lease.Address + elementIndex);
    }

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
