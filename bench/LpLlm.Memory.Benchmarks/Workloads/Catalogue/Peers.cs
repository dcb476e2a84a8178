namespace LpLlm.Memory.Benchmarks.Workloads.Catalogue;

/// <summary>Who can run a workload beside PinnedPool and TlsfAllocator, which run all.</summary>
[Flags]
internal enum Peers
{
    None = 0,

    /// <summary>mimalloc, jemalloc, NativeMemory.AlignedAlloc: whatever address space a process can get.</summary>
    Native = 1,

    /// <summary>ArrayPool.Shared: it clears new arrays, so their memory must be there.</summary>
    ArrayPool = 2,

    /// <summary>Our pool of fixed blocks: one length only.</summary>
    FixedBlocks = 4,
}
