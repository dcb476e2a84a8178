namespace LpLlm.Memory.Cuda;

/// <summary>Events of one stream that are free to be recorded again. Thread-safe; the driver is never called under the gate.</summary>
internal sealed class EventCache(CudaRuntime runtime)
{
    private readonly Lock _gate = new();
    private readonly Stack<nint> _free = new();
    private bool _isClosed;

    /// <returns>The driver's code: making an event can fail.</returns>
    public int TryTake(out nint taken)
    {
        lock (_gate)
        {
            if (_free.TryPop(out taken))
            {
                return CudaError.Success;
            }
        }

        return runtime.Driver.CreateEvent(out taken);
    }

    public void GiveBack(nint taken)
    {
        lock (_gate)
        {
            if (!_isClosed)
            {
                _free.Push(taken);
                return;
            }
        }

        Destroy(taken);
    }

    /// <summary>Destroys the free ones now, and the others as they come back.</summary>
    public void Close()
    {
        nint[] free;
        lock (_gate)
        {
            _isClosed = true;
            free = [.. _free];
            _free.Clear();
        }

        foreach (var each in free)
        {
            Destroy(each);
        }
    }

    // If the driver refuses, the device has failed, which the stream's fences tell; there is nothing left to do for an event.
    private void Destroy(nint each) => _ = runtime.Driver.DestroyEvent(each);
}
