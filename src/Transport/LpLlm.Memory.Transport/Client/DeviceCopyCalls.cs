using Google.Protobuf;
using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Devices;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A client's requests for copies between a lease and its device memory.</summary>
internal static class DeviceCopyCalls
{
    /// <summary>
    /// Ranges of a lease as its segments have them: a range may span some, and one request has room for so many.
    /// </summary>
    /// <param name="connection">Of the session that holds the lease.</param>
    /// <param name="leaseId">The lease.</param>
    /// <param name="segments">Ids and lengths of segments, in the order in which they lie behind each other.</param>
    /// <param name="memory">The device's memory.</param>
    /// <param name="ranges">Offsets in all segments, and in the device's memory.</param>
    public static List<DeviceCopyRequest> Create(
        PoolConnection connection, ulong leaseId, IReadOnlyList<(ulong Id, long LengthBytes)> segments, ExportedMemory memory, IEnumerable<ModelRange> ranges)
    {
        var requests = new List<DeviceCopyRequest>();
        foreach (var part in ranges.SelectMany(range => Split(segments, range)))
        {
            if (requests.Count == 0 || requests[^1].Ranges.Count == DeviceCopyService.MaxRanges)
            {
                requests.Add(new DeviceCopyRequest
                {
                    Session = connection.SessionBytes,
                    LeaseId = leaseId,
                    DeviceUuid = memory.DeviceUuid,
                    IpcHandle = ByteString.CopyFrom(memory.Handle.Span),
                });
            }

            requests[^1].Ranges.Add(part);
        }

        return requests;
    }

    /// <summary>Sends them one after the other, and returns when all copies have been made.</summary>
    /// <exception cref="PoolFaultException">The server refuses.</exception>
    /// <exception cref="PoolServerUnavailableException">As for every call.</exception>
    public static async Task SendAsync(
        PoolConnection connection, CopyDirection direction, List<DeviceCopyRequest> requests, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var method = direction == CopyDirection.ToDevice ? PoolMethod.CopyToDevice : PoolMethod.CopyFromDevice;
        foreach (var request in requests)
        {
            var time = TimeOf(request.Ranges.Sum(range => range.LengthBytes));
            request.TimeoutMs = (long)(timeout + time).TotalMilliseconds;
            await connection.CallAsync(method, request, DeviceCopyReply.Parser, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Whether the server has answered, and the device may be at it all the same.</summary>
    public static bool IsUnknown(PoolFaultCode code) => code is PoolFaultCode.Unknown or PoolFaultCode.DeadlineExceeded or PoolFaultCode.Cancelled;

    /// <summary>At 1 GB/s: a device beside which others copy, and memory that its driver has to be told of first.</summary>
    private static TimeSpan TimeOf(long lengthBytes) => TimeSpan.FromSeconds(lengthBytes / 1e9);

    private static IEnumerable<DeviceCopyRange> Split(IReadOnlyList<(ulong Id, long LengthBytes)> segments, ModelRange range)
    {
        var (at, done) = (range.SourceOffset, 0L);
        foreach (var (id, lengthBytes) in segments)
        {
            var part = Math.Min(range.LengthBytes - done, lengthBytes - at);
            if (part > 0)
            {
                yield return new DeviceCopyRange { SegmentId = id, SegmentOffset = at, DeviceOffset = range.TargetOffset + done, LengthBytes = part };
                done += part;
            }

            at = Math.Max(0, at - lengthBytes);
        }
    }
}
