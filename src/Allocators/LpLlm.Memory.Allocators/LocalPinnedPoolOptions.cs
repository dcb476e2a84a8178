namespace LpLlm.Memory;

/// <summary>Options of a pool over this process's own memory. Fixed once the pool exists.</summary>
public sealed class LocalPinnedPoolOptions : HostMemoryOptions
{
    /// <summary>The most bytes the pool may ever take. Required: a multiple of 4 KiB, at least 4 KiB.</summary>
    public long CapacityBytes { get; set; }

    /// <summary>
    /// Bytes taken when the pool opens, rounded up to whole slabs; 0 takes nothing before the first rent.
    /// Default null: one slab. A multiple of 4 KiB, at most <see cref="CapacityBytes"/>.
    /// </summary>
    public long? InitialBytes { get; set; }

    /// <summary>
    /// Bytes the pool grows by, and with that the largest block it serves (less where <see cref="CapacityBytes"/> is smaller).
    /// Default 1 GiB. A multiple of 4 KiB, at most 1 TiB; finding room looks at every slab, so keep them to a few dozen.
    /// </summary>
    public long SlabBytes { get; set; } = 1L << 30;

    /// <summary>
    /// Free memory each thread may keep back for its own next rents, of up to 8 lengths it rents most. It serves anybody's rent that would
    /// otherwise fail. Default 16 MiB; 0 to 1 TiB, 0 for none.
    /// </summary>
    public long ThreadCacheBytes { get; set; } = 16L << 20;

    internal override void Validate(ICollection<string> errors)
    {
        CheckSlabs(errors, CapacityBytes, InitialBytes, SlabBytes, ThreadCacheBytes);
        base.Validate(errors);
    }
}
