namespace LpLlm.Memory;

/// <summary>What can be relied on for memory: of a region, of a lease, or of every lease of a pool.</summary>
[Flags]
public enum PoolCapabilities
{
    /// <summary>Ordinary pageable memory of this process.</summary>
    None = 0,

    /// <summary>The pages are resident and cannot be swapped out (mlock or stronger).</summary>
    PageLocked = 1,

    /// <summary>Registered with a device driver: device copies run at the link's full speed.</summary>
    DeviceVisible = 2,

    /// <summary>Backed by memory that other processes can map without a copy.</summary>
    Shared = 4,
}
