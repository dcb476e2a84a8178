using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Copies between this source's memory and a device, made by the server.</summary>
internal sealed partial class ServerMemorySource
{
    // Regions that are mapped, in the order of their making: some tens. Under the gate.
    private readonly List<ServerMemoryRegion> _regions = [];

    /// <summary>Has the server copy; returns when the copy has been made.</summary>
    /// <param name="direction">Which way.</param>
    /// <param name="address">First byte here; the range lies within one region.</param>
    /// <param name="lengthBytes">At least 1.</param>
    /// <param name="memory">The device's memory.</param>
    /// <param name="memoryOffsetBytes">First byte there.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="ArgumentException">The range is not within a region of this source.</exception>
    /// <exception cref="PoolTransportException">The server cannot be reached, or refuses; or it was started anew and does not know the memory.</exception>
    /// <exception cref="MemorySourceException">The server's driver refuses the memory.</exception>
    /// <exception cref="DeviceCopyLostException">The device may still write to the range: it must not be used for anything else, ever.</exception>
    public async Task CopyAsync(
        CopyDirection direction, nint address, long lengthBytes, ExportedMemory memory, long memoryOffsetBytes, CancellationToken cancellationToken)
    {
        var connection = await _client.GetAsync(cancellationToken).ConfigureAwait(false);
        var requests = RequestsFor(connection, address, lengthBytes, memory, memoryOffsetBytes);
        try
        {
            await DeviceCopyCalls.SendAsync(connection, direction, requests, _options.RequestTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (PoolFaultException fault)
        {
            var failure = FaultCodec.ToException(fault, _options.EndPoint, lengthBytes);
            throw DeviceCopyCalls.IsUnknown(fault.Code) && direction == CopyDirection.ToHost ? new DeviceCopyLostException(failure) : failure;
        }
        catch (PoolTransportException lost) when (direction == CopyDirection.ToHost)
        {
            throw new DeviceCopyLostException(lost); // nobody is left who could tell when it ends
        }
    }

    private List<DeviceCopyRequest> RequestsFor(
        PoolConnection connection, nint address, long lengthBytes, ExportedMemory memory, long memoryOffsetBytes)
    {
        lock (_gate)
        {
            var region = _regions.Find(region => address >= region.Address && lengthBytes <= region.LengthBytes && address - region.Address <= region.LengthBytes - lengthBytes)
                ?? throw new ArgumentException("The memory is not leased by this pool from its server: it was rented from another pool.", nameof(address));
            if (!region.Lease.IsKnown || region.Lease.Session != connection.Session || region.Segments.Any(segment => !segment.IsKnown))
            {
                throw new PoolServerUnavailableException(
                    _options.EndPoint.ToString(), "The server was started anew and does not know this memory, which stays usable: copy it from here, or rent anew.");
            }

            return DeviceCopyCalls.Create(
                connection,
                region.Lease.Id,
                [.. region.Segments.Select(segment => (segment.Id, segment.LengthBytes))],
                memory,
                [new ModelRange(address - region.Address, memoryOffsetBytes, lengthBytes)]);
        }
    }
}
