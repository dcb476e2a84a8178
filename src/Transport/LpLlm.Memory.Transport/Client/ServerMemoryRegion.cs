namespace LpLlm.Memory.Transport.Client;

/// <summary>Segments of one lease, mapped one behind the other.</summary>
internal sealed class ServerMemoryRegion(
    ServerMemorySource source, ServerLease lease, IReadOnlyList<HeldSegment> segments, nint address, long lengthBytes, PoolCapabilities capabilities,
    RegionPinning? pinning)
    : MemoryRegion(address, lengthBytes, capabilities)
{
    public ServerLease Lease => lease;

    /// <summary>By which another process of the same user can join the lease. A secret.</summary>
    public Token Token => lease.Token;

    public IReadOnlyList<HeldSegment> Segments => segments;

    public RegionPinning? Pinning => pinning;

    protected override void Release() => source.GiveBack(this);
}
