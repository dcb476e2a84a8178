namespace LpLlm.Memory;

/// <summary>Device memory by which another process of this host can open it.</summary>
/// <param name="DeviceUuid">As <see cref="IMemoryDevice.Uuid"/>.</param>
/// <param name="Handle">64 bytes: <see cref="IDeviceBuffer.Export"/>, or those of <c>cuIpcGetMemHandle</c>. Always of a whole allocation.</param>
public sealed record ExportedMemory(string DeviceUuid, ReadOnlyMemory<byte> Handle)
{
    /// <summary>Exports a buffer of this process.</summary>
    /// <param name="device">The buffer's device.</param>
    /// <param name="buffer">Allocated here, not imported.</param>
    /// <exception cref="InvalidOperationException">The buffer was imported.</exception>
    public static ExportedMemory Of(IMemoryDevice device, IDeviceBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(buffer);
        return new ExportedMemory(device.Uuid, buffer.Export());
    }
}
