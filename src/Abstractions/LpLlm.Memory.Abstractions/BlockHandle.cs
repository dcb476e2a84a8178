namespace LpLlm.Memory;

/// <summary>A block of an <see cref="IBlockAllocator"/>, checked on return by slot, generation and allocator.</summary>
/// <param name="OffsetBytes">First byte, relative to the range the allocator manages.</param>
/// <param name="LengthBytes">Length, rounded up to units.</param>
/// <param name="Slot">The allocator's own index for the block.</param>
/// <param name="Generation">Changes each time the slot is reused, so that a stale handle is recognised.</param>
/// <param name="AllocatorId"><see cref="IBlockAllocator.Id"/> of the allocator that made the handle.</param>
public readonly record struct BlockHandle(long OffsetBytes, long LengthBytes, int Slot, int Generation, int AllocatorId);
