namespace LpLlm.Memory.Pooling;

/// <summary>A block that its allocator still counts as live, while a thread keeps it for its next rent. The slab is null in empty places.</summary>
internal struct CachedBlock
{
    public PoolSlab? Slab;
    public nint Address;
    public long LengthBytes;
    public long Token;
}
