namespace LpLlm.Memory.Models;

/// <summary>A model's memory that is one lease.</summary>
internal sealed class LeaseAllocation(PinnedLease lease) : ModelAllocation
{
    public override IReadOnlyList<MemoryExtent> Extents { get; } = [new MemoryExtent(lease.Address, lease.LengthBytes)];

    public override PoolCapabilities Capabilities => lease.Capabilities;

    public override void Dispose() => lease.Dispose();
}
