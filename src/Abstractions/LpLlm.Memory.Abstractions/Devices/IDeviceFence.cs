namespace LpLlm.Memory;

/// <summary>A point in a stream's work, for the host and for other streams of the device. Thread-safe.</summary>
public interface IDeviceFence : IFence
{
    /// <summary>
    /// The driver's handle of the event, on which a stream of the caller's can wait. Valid until the fence's stream is disposed; events are used
    /// again, so that once the fence has completed it may stand for a later point, which makes who waits for it wait longer, never shorter.
    /// </summary>
    nint EventHandle { get; }
}
