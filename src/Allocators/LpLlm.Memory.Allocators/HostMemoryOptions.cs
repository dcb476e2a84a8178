namespace LpLlm.Memory;

/// <summary>Options of the pools that take memory of this process.</summary>
public abstract class HostMemoryOptions : PinnedPoolOptions
{
    private protected HostMemoryOptions()
    {
    }

    /// <summary>Asks the kernel for 2 MiB pages (MADV_HUGEPAGE): ten times faster to populate and lock. Default true; harmless where unavailable.</summary>
    public bool TransparentHugePages { get; set; } = true;

    /// <summary>
    /// Goes on with memory that is not page-locked when the system refuses to lock it. Default false: the pool fails instead.
    /// When it happens, leases and snapshot say so and a warning is logged once.
    /// </summary>
    public bool AllowPageable { get; set; }
}
