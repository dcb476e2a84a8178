using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Devices;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Server;

/// <summary>Copies between a lease and the client's device memory.</summary>
internal sealed partial class PoolServiceConnection
{
    private async ValueTask<PoolMessage> CopyAsync(CopyDirection direction, DeviceCopyRequest request, CancellationToken cancellationToken)
    {
        var session = SessionOf(request.Session);
        Requests.Count(request.Ranges.Count, "ranges", DeviceCopyService.MaxRanges);
        var options = new DeviceCopyOptions
        {
            Direction = direction,
            LeaseId = request.LeaseId,
            DeviceUuid = request.DeviceUuid,
            Handle = request.IpcHandle.Memory,
            Ranges = [.. request.Ranges.Select(range => new SegmentRange(range.SegmentId, range.SegmentOffset, range.LengthBytes))],
            DeviceOffsets = [.. request.Ranges.Select(range => range.DeviceOffset)],
            Timeout = request.TimeoutMs == 0 ? engine.Settings.MaxWait : Requests.Wait(request.TimeoutMs, engine.Settings.MaxWait),
        };
        await copies.CopyAsync(session, options, cancellationToken).ConfigureAwait(false);
        return Reply(new DeviceCopyReply());
    }
}
