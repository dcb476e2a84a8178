namespace LpLlm.Memory;

/// <summary>Which pages back a region. Large ones are many times faster to populate, lock, register with a device and map elsewhere.</summary>
public enum HugePageMode
{
    /// <summary>
    /// Reserved huge pages where enough are free, else transparent huge pages where the kernel has them (shared memory: unless
    /// <c>shmem_enabled</c> is <c>deny</c>), else 4 KiB pages.
    /// </summary>
    Auto = 0,

    /// <summary>Reserved huge pages (hugetlb) or a <see cref="MemorySourceException"/> that says how to reserve them.</summary>
    Require = 1,

    /// <summary>4 KiB pages.</summary>
    Never = 2,
}
