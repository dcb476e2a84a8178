namespace LpLlm.Memory.Sources;

/// <summary>Memory of this process, ready for use.</summary>
internal class HostMemoryRegion(PinnedMapping pinned, Action<PinnedMapping> giveBack)
    : MemoryRegion(pinned.Mapping.Address, pinned.Mapping.LengthBytes, pinned.Capabilities)
{
    protected override void Release() => giveBack(pinned);
}
