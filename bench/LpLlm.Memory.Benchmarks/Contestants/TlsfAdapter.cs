using LpLlm.Memory.Tlsf;

namespace LpLlm.Memory.Benchmarks.Contestants;

/// <summary>Our allocator alone: no lock, no lease, no memory to touch.</summary>
internal readonly struct TlsfAdapter(TlsfAllocator allocator) : IAdapter<BlockHandle>
{
    public BlockHandle Rent(long lengthBytes) => allocator.TryAllocate(lengthBytes, Alignment.Bytes, out var block)
        ? block
        : throw new InvalidOperationException($"No room for {lengthBytes} B in the benchmark's allocator.");

    public void Return(BlockHandle block) => allocator.Free(block);
}
