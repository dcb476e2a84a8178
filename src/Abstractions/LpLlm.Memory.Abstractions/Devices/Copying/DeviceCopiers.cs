using System.Collections.Concurrent;

namespace LpLlm.Memory.Devices;

/// <summary>The copiers of all devices and directions that were asked for, kept: making two streams takes 30 us, which is a copy of 1.5 MiB. Thread-safe.</summary>
internal sealed class DeviceCopiers : IDisposable
{
    private readonly ConcurrentDictionary<(IMemoryDevice Device, CopyDirection Direction), DeviceCopier> _copiers = [];

    /// <summary>Begins the copies of one request.</summary>
    public DeviceTransfer Begin(IMemoryDevice device, CopyDirection direction) =>
        new(_copiers.GetOrAdd((device, direction), static key => new DeviceCopier(key.Device, key.Direction)));

    /// <summary>Gives the streams back. No copy may be running.</summary>
    public void Dispose()
    {
        foreach (var copier in _copiers.Values)
        {
            copier.Dispose();
        }
    }
}
