namespace LpLlm.Memory.Pooling;

/// <summary>A block that its allocator still counts as live, while a thread keeps it for its next rent.</summary>
internal readonly record struct CachedBlock(PoolSlab Slab, nint Address, long LengthBytes, long Token);
