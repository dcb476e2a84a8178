namespace LpLlm.Memory.Transport.Devices;

/// <summary>A client's device memory as it is open here. Guarded by the lock of <see cref="DeviceImports"/>.</summary>
internal sealed class DeviceImport(DeviceImportKey key, Func<IDeviceBuffer> open)
{
    public DeviceImportKey Key { get; } = key;

    /// <summary>Off the caller's thread: a driver takes 0.8 ms.</summary>
    public Task<IDeviceBuffer> Opening { get; } = Task.Run(open);

    public int Users { get; set; } = 1;

    /// <summary>Timestamp of the last use, while there is none.</summary>
    public long IdleSince { get; set; }

    /// <summary>Not to be used again: its session has ended, or it could not be opened. The last user closes it.</summary>
    public bool IsOver { get; set; }

    public CancellationTokenRegistration SessionOver { get; set; }
}
