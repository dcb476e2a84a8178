using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Devices;

/// <summary>What a client wants to have copied. Handle and ranges are not checked yet.</summary>
internal sealed record DeviceCopyOptions
{
    public required CopyDirection Direction { get; init; }

    public required ulong LeaseId { get; init; }

    public required string DeviceUuid { get; init; }

    public required ReadOnlyMemory<byte> Handle { get; init; }

    /// <summary>Parts of segments.</summary>
    public required IReadOnlyList<SegmentRange> Ranges { get; init; }

    /// <summary>For each of them where in the device's allocation it begins.</summary>
    public required IReadOnlyList<long> DeviceOffsets { get; init; }

    /// <summary>At most this long.</summary>
    public required TimeSpan Timeout { get; init; }
}
