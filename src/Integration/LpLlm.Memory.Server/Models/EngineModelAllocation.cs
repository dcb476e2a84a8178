using LpLlm.Memory.Models;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Daemon.Models;

/// <summary>A model's lease. The grant is kept with it: so the memory stays mapped here until the model goes.</summary>
internal sealed class EngineModelAllocation(PoolEngine engine, PoolSession session, LeaseGrant grant) : ModelAllocation
{
    private int _disposed;

    /// <summary>Under which other sessions are given the memory to read.</summary>
    public ulong LeaseId => grant.LeaseId;

    public override IReadOnlyList<MemoryExtent> Extents { get; } =
        [.. grant.Segments.Select(granted => new MemoryExtent(granted.Segment.Address, granted.Segment.LengthBytes))];

    public override PoolCapabilities Capabilities { get; } = PoolCapabilities.Shared
        | (grant.Segments.All(granted => granted.Segment.IsPageLocked) ? PoolCapabilities.PageLocked : PoolCapabilities.None);

    public override Task PrepareForDevicesAsync() => Task.WhenAll(grant.Segments.Select(granted => granted.Segment.PrepareForDevicesAsync()));

    public override void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        try
        {
            engine.Release(session, grant.LeaseId);
        }
        catch (PoolFaultException gone) when (gone.Code is PoolFaultCode.Unavailable or PoolFaultCode.NotFound)
        {
            // The engine is disposed, and has let go of everything itself.
        }
        finally
        {
            grant.Dispose();
        }
    }
}
