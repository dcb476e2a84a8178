using System.Runtime.ExceptionServices;
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

    /// <summary>The lease cannot be returned meanwhile; one to which a device may still write is never rented again.</summary>
    private async ValueTask CopyAsync(
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
        cancellationToken.ThrowIfCancellationRequested();
        var address = lease.Address + (nint)leaseOffsetBytes;
        lease.BeginCopy();
        var isLost = false;
        try
        {
            await _source.CopyAsync(direction, address, lengthBytes, memory, memoryOffsetBytes, CancellationToken.None).ConfigureAwait(false);
        }
        catch (DeviceCopyLostException lost)
        {
            isLost = true;
            ExceptionDispatchInfo.Throw(lost.InnerException!);
        }
        finally
        {
            lease.EndCopy(isLost);
        }
    }
}
