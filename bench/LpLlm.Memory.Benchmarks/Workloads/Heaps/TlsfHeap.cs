using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Benchmarks.Workloads.Heaps;

/// <summary>Our allocator alone: no lock and no lease.</summary>
internal readonly struct TlsfHeap(TlsfAllocator allocator) : IOffsetHeap<BlockHandle>
{
    public static OpenHeap<TlsfHeap> Open(long capacityBytes) => new(new TlsfHeap(new TlsfAllocator(capacityBytes)));

    public bool TryTake(long lengthBytes, int alignmentBytes, out BlockHandle block) =>
        allocator.TryAllocate(lengthBytes, alignmentBytes, out block);

    public void Return(BlockHandle block) => allocator.Free(block);

    public long OffsetOf(BlockHandle block) => block.OffsetBytes;
}
