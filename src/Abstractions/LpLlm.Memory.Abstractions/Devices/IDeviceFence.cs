namespace LpLlm.Memory;

/// <summary>A point in a stream's work, for the host and for other streams of the device. Thread-safe.</summary>
public interface IDeviceFence : IFence
{
    /// <summary>The driver's handle of the event, on which a stream can wait. Valid as long as the fence is referenced.</summary>
    nint EventHandle { get; }
}
