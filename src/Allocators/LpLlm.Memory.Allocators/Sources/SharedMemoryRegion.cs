using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Sources;

/// <summary>Memory that another process can map: whoever gets the descriptor maps the same pages, from offset 0, without a copy.</summary>
internal sealed class SharedMemoryRegion(PinnedMapping pinned, SafeFileHandle descriptor, Action<PinnedMapping> giveBack)
    : HostMemoryRegion(pinned, giveBack)
{
    /// <summary>The sealed memory file, as long as the region. Closed with the region; its pages live until the last process lets go.</summary>
    public SafeFileHandle Descriptor => descriptor;
}
