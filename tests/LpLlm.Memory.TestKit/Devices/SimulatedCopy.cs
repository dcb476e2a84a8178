namespace LpLlm.Memory.TestKit;

/// <summary>Rows between the host and a device, copied in two parts so that whoever reads early may see half of each.</summary>
/// <param name="ToDevice">The direction.</param>
/// <param name="HostAddress">First host byte.</param>
/// <param name="HostPitchBytes">Distance of two rows on the host.</param>
/// <param name="DeviceAddress">First device byte.</param>
/// <param name="DevicePitchBytes">Distance of two rows on the device.</param>
/// <param name="RowBytes">Bytes of a row.</param>
/// <param name="RowCount">Rows.</param>
internal sealed record SimulatedCopy(
    bool ToDevice, nint HostAddress, long HostPitchBytes, nint DeviceAddress, long DevicePitchBytes, long RowBytes, long RowCount)
{
    /// <summary>Device bytes from the first to the last.</summary>
    public Int128 DeviceSpanBytes => (Int128)(RowCount - 1) * DevicePitchBytes + RowBytes;

    /// <summary>What is wrong with the numbers; null if nothing.</summary>
    public string? Problem => RowBytes < 1 || RowCount < 1
        ? $"a copy of {RowCount} rows of {RowBytes} B; both are at least 1"
        : HostPitchBytes < RowBytes || DevicePitchBytes < RowBytes
            ? $"rows of {RowBytes} B at pitches of {HostPitchBytes} B and {DevicePitchBytes} B; a pitch is at least a row"
            : null;

    public unsafe void Run(bool upperHalf)
    {
        var (first, count) = upperHalf ? (RowBytes / 2, RowBytes - RowBytes / 2) : (0, RowBytes / 2);
        for (long row = 0; row < RowCount; row++)
        {
            var host = (byte*)HostAddress + row * HostPitchBytes + first;
            var device = (byte*)DeviceAddress + row * DevicePitchBytes + first;
            Buffer.MemoryCopy(ToDevice ? host : device, ToDevice ? device : host, count, count);
        }
    }
}
