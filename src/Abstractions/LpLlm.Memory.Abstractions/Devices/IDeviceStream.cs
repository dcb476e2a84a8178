namespace LpLlm.Memory;

/// <summary>
/// Copies of a device that run in order. Each call enqueues and returns; only a fence tells that the work is done. Not thread-safe.
/// </summary>
/// <remarks>
/// Host memory should be registered with the device's driver (<see cref="PoolCapabilities.DeviceVisible"/>): from any other a copy is slow and
/// may be made before the call returns. It must stay untouched until a fence that was recorded later has completed. Lengths are at least 1;
/// ranges are the caller's responsibility (the extensions that take a lease and a buffer check them). Every call throws
/// <see cref="PinnedMemoryException"/> when the device refuses, and has enqueued nothing then; what is refused when a part of a copy is under way
/// already is the failure of the stream's fences. Disposing does not wait: work that was enqueued is still done, and its fences still complete.
/// </remarks>
public interface IDeviceStream : IDisposable
{
    /// <summary>The device.</summary>
    IMemoryDevice Device { get; }

    /// <summary>The driver's handle of the stream, for a caller that orders its own work behind this stream.</summary>
    nint Handle { get; }

    /// <summary>Copies host memory to the device.</summary>
    void CopyToDevice(nint hostAddress, nint deviceAddress, long lengthBytes);

    /// <summary>Copies device memory to the host.</summary>
    void CopyToHost(nint deviceAddress, nint hostAddress, long lengthBytes);

    /// <summary>Copies rows of equal length to the device; a pitch is the distance of the first bytes of two rows, at least their length.</summary>
    void CopyToDevice(nint hostAddress, long hostPitchBytes, nint deviceAddress, long devicePitchBytes, long rowBytes, long rowCount);

    /// <summary>Copies rows of equal length to the host; a pitch is the distance of the first bytes of two rows, at least their length.</summary>
    void CopyToHost(nint deviceAddress, long devicePitchBytes, nint hostAddress, long hostPitchBytes, long rowBytes, long rowCount);

    /// <summary>Orders all that follows behind everything that was enqueued so far on a stream of the caller's.</summary>
    /// <param name="handle">The driver's handle of that stream; 0 is the default stream.</param>
    void WaitForStream(nint handle);

    /// <summary>Orders all that follows behind an event.</summary>
    /// <param name="handle">The driver's handle of a recorded event.</param>
    void WaitForEvent(nint handle);

    /// <summary>Orders all that follows on a stream of the caller's behind everything that was enqueued here so far.</summary>
    /// <param name="handle">The driver's handle of that stream; 0 is the default stream.</param>
    void MakeStreamWait(nint handle);

    /// <summary>Marks this point: the fence completes when everything enqueued so far is done.</summary>
    IDeviceFence Record();
}
