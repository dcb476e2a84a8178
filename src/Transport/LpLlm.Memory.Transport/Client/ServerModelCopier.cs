using LpLlm.Memory.Devices;

namespace LpLlm.Memory.Transport.Client;

/// <summary>Has the server copy a model that this process has open: it copies from memory that its driver knows, and this process registers nothing.</summary>
/// <param name="client">Of the session that has the model open.</param>
/// <param name="session">That session.</param>
/// <param name="model">As the server described it.</param>
/// <param name="name">The model's path, for errors.</param>
/// <param name="timeout">For a call, beside the time of its bytes.</param>
/// <param name="time">For the wait after a loss.</param>
internal sealed class ServerModelCopier(PoolClient client, Token session, ModelAnswer model, string name, TimeSpan timeout, TimeProvider time) : IModelCopier
{
    /// <summary>
    /// A server that loses the connection, or dies, stops within milliseconds, and what it has enqueued takes 4.8 ms more. The buffer that it writes to is
    /// freed when this returns, so it does not return before.
    /// </summary>
    private static readonly TimeSpan ServerStops = TimeSpan.FromSeconds(1);

    public async Task CopyAsync(IReadOnlyList<ModelRange> ranges, IMemoryDevice device, IDeviceBuffer buffer, CancellationToken cancellationToken)
    {
        var connection = await client.GetAsync(cancellationToken).ConfigureAwait(false);
        if (connection.Session != session)
        {
            throw new PoolServerUnavailableException(
                connection.EndPoint.ToString(), $"Model '{name}' was opened in a session that has ended. It stays readable; open it again to copy it to a device.");
        }

        try
        {
            var requests = DeviceCopyCalls.Create(
                connection,
                model.LeaseId,
                [.. model.Segments.Select(segment => (segment.Id, segment.LengthBytes))],
                ExportedMemory.Of(device, buffer),
                ranges);

            // A call that is given up would leave the server copying into a buffer that is gone: one call is awaited, and the next not made.
            foreach (var request in requests)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await DeviceCopyCalls.SendAsync(connection, CopyDirection.ToDevice, [request], timeout, CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (PoolServerUnavailableException)
        {
            await Task.Delay(ServerStops, time, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        catch (PoolFaultException fault)
        {
            var failure = FaultCodec.ToException(fault, connection.EndPoint, ranges.Sum(range => range.LengthBytes));
            throw DeviceCopyCalls.IsUnknown(fault.Code) ? new DeviceCopyLostException(failure) : failure;
        }
    }
}
