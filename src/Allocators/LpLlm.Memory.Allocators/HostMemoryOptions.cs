using LpLlm.Memory.Sources;

namespace LpLlm.Memory;

/// <summary>Options of the pools that take memory of this process.</summary>
public abstract class HostMemoryOptions : PinnedPoolOptions
{
    private protected HostMemoryOptions()
    {
    }

    /// <summary>Which pages back the memory. Default <see cref="HugePageMode.Auto"/>; a log line says what each region got. On Windows ordinary ones, and <see cref="HugePageMode.Require"/> is refused.</summary>
    public HugePageMode HugePages { get; set; }

    /// <summary>
    /// Size of a reserved huge page: 2 MiB (default) or 1 GiB. Regions are rounded up to it where they are on reserved pages, so slabs
    /// should be a multiple of it.
    /// </summary>
    public long HugePageBytes { get; set; } = HugePageReserve.SmallestBytes;

    /// <summary>
    /// Takes memory that another process can map without a copy: sealed files in memory that have no name, so that nothing outlives
    /// the processes that hold them. Default false: private to this process.
    /// </summary>
    public bool Shared { get; set; }

    /// <summary>
    /// The NUMA node whose memory is used, and no other's. Default null: the kernel chooses, as a rule the node of the thread that
    /// populates. 0 to 1023; a node that does not exist is refused when memory is taken, on Windows any.
    /// </summary>
    public int? NumaNode { get; set; }

    /// <summary>
    /// Goes on with memory that is not page-locked when the system refuses to lock it. Default false: the pool fails instead.
    /// When it happens, leases and snapshot say so and a warning is logged once.
    /// </summary>
    public bool AllowPageable { get; set; }

    internal override void Validate(ICollection<string> errors)
    {
        if (!Enum.IsDefined(HugePages))
        {
            errors.Add($"{nameof(HugePages)} is {(int)HugePages}; it must be Auto, Require or Never.");
        }

        if (HugePageBytes is not (HugePageReserve.SmallestBytes or HugePageReserve.LargestBytes))
        {
            errors.Add(
                $"{nameof(HugePageBytes)} is {HugePageBytes}; it must be {HugePageReserve.SmallestBytes} (2 MiB) or "
                + $"{HugePageReserve.LargestBytes} (1 GiB).");
        }

        if (NumaNode is < 0 or > NumaPolicy.MaxNode)
        {
            errors.Add($"{nameof(NumaNode)} is {NumaNode}; it must be from 0 to {NumaPolicy.MaxNode}, or not set.");
        }

        base.Validate(errors);
    }
}
