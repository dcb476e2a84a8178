using LpLlm.Memory.Devices;

namespace LpLlm.Memory.Server;

/// <summary>Copies that the server makes.</summary>
internal sealed partial class ServerPool
{
    public ValueTask CopyToDeviceAsync(
        PinnedLease lease, long leaseOffsetBytes, ExportedMemory target, long targetOffsetBytes, long lengthBytes, CancellationToken cancellationToken) =>
        CopyAsync(CopyDirection.ToDevice, lease, leaseOffsetBytes, target, targetOffsetBytes, lengthBytes, cancellationToken);

    public ValueTask CopyFromDeviceAsync(
        PinnedLease lease, long leaseOffsetBytes, ExportedMemory source, long sourceOffsetBytes, long lengthBytes, CancellationToken cancellationToken) =>
        CopyAsync(CopyDirection.ToHost, lease, leaseOffsetBytes, source, sourceOffsetBytes, lengthBytes, cancellationToken);

    private ValueTask CopyAsync(
        CopyDirection direction, PinnedLease lease, long leaseOffsetBytes, ExportedMemory memory, long memoryOffsetBytes, long lengthBytes,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(leaseOffsetBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(memoryOffsetBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(leaseOffsetBytes, lease.LengthBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, lease.LengthBytes - leaseOffsetBytes);
        return new ValueTask(_source.CopyAsync(
            direction, lease.Address + (nint)leaseOffsetBytes, lengthBytes, memory, memoryOffsetBytes, cancellationToken));
    }
}
