namespace LpLlm.Memory;

/// <summary>A point in a stream's work, for the host and for other streams of the device. Thread-safe.</summary>
public interface IDeviceFence : IFence
{
    /// <summary>
    /// The driver's handle of an event behind the fence, on which a stream of the caller's can wait. Valid until the fence's stream is disposed.
    /// Fences may share an event, and events are used again, so that it may stand for a later point: who waits for it waits longer, never shorter.
    /// </summary>
    nint EventHandle { get; }
}
