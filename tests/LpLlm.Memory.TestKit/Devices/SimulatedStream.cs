using System.Threading.Channels;

namespace LpLlm.Memory.TestKit;

/// <summary>A queue that its own loop works off, a little late and never on the caller's thread.</summary>
internal sealed class SimulatedStream : IDeviceStream
{
    private readonly Channel<SimulatedWork> _queue = Channel.CreateUnbounded<SimulatedWork>(new UnboundedChannelOptions { SingleReader = true });
    private readonly object _key = new();
    private readonly SimulatedDevice _device;
    private readonly Random _random;
    private volatile Exception? _failure;
    private int _disposed;

    public SimulatedStream(SimulatedDevice device, int seed)
    {
        _device = device;
        _random = new Random(seed);
        Handle = SimulatedHandles.Add(this);
        _ = Task.Run(RunAsync);
    }

    public IMemoryDevice Device => _device;

    public nint Handle { get; }

    public void CopyToDevice(nint hostAddress, nint deviceAddress, long lengthBytes) =>
        CopyToDevice(hostAddress, lengthBytes, deviceAddress, lengthBytes, lengthBytes, 1);

    public void CopyToHost(nint deviceAddress, nint hostAddress, long lengthBytes) =>
        CopyToHost(deviceAddress, lengthBytes, hostAddress, lengthBytes, lengthBytes, 1);

    public void CopyToDevice(nint hostAddress, long hostPitchBytes, nint deviceAddress, long devicePitchBytes, long rowBytes, long rowCount) =>
        Copy(new SimulatedCopy(true, hostAddress, hostPitchBytes, deviceAddress, devicePitchBytes, rowBytes, rowCount));

    public void CopyToHost(nint deviceAddress, long devicePitchBytes, nint hostAddress, long hostPitchBytes, long rowBytes, long rowCount) =>
        Copy(new SimulatedCopy(false, hostAddress, hostPitchBytes, deviceAddress, devicePitchBytes, rowBytes, rowCount));

    public void WaitForStream(nint handle)
    {
        var other = handle == 0 ? _device.Default : SimulatedHandles.Find<SimulatedStream>(handle);
        Wait(other?.RecordFence(), $"stream handle {handle}");
    }

    public void WaitForEvent(nint handle) => Wait(SimulatedHandles.Find<SimulatedFence>(handle), $"event handle {handle}");

    public void MakeStreamWait(nint handle)
    {
        var other = handle == 0 ? _device.Default : SimulatedHandles.Find<SimulatedStream>(handle);
        if (other is null)
        {
            Wait(null, $"stream handle {handle}");
        }

        other!.Wait(RecordFence(), $"stream handle {Handle}");
    }

    public IDeviceFence Record() => RecordFence();

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            // What is enqueued still runs, as on a real device.
            _queue.Writer.TryComplete();
            SimulatedHandles.Remove(Handle);
            _device.Forget(this);
        }
    }

    private SimulatedFence RecordFence()
    {
        var fence = new SimulatedFence(_key);
        Enqueue(SimulatedOperationKind.Record, operation => new SimulatedWork(operation) { Fence = fence });
        _device.Watch(fence);
        if (_device.CompletesFencesEarly)
        {
            fence.Complete();
        }

        return fence;
    }

    private void Wait(SimulatedFence? fence, string handle)
    {
        if (fence is null)
        {
            _device.ReportFault($"a stream was told to wait for {handle}, which is not alive");
            throw SimulatedFailure.Of("wait", "INVALID_HANDLE", 0, $"There is no {handle}; keep the fence referenced.");
        }

        if (!_device.DropsWaits)
        {
            Enqueue(SimulatedOperationKind.Wait, operation => new SimulatedWork(operation) { After = fence });
        }
    }

    private void Copy(SimulatedCopy copy)
    {
        var buffer = _device.Resolve(copy);
        var kind = copy.ToDevice ? SimulatedOperationKind.CopyToDevice : SimulatedOperationKind.CopyToHost;
        buffer.Enter();
        var enqueued = false;
        try
        {
            Enqueue(kind, operation => new SimulatedWork(operation) { Copy = copy, Buffer = buffer }, copy);
            enqueued = true;
        }
        finally
        {
            if (!enqueued)
            {
                buffer.Leave();
            }
        }
    }

    private void Enqueue(SimulatedOperationKind kind, Func<SimulatedOperation, SimulatedWork> make, SimulatedCopy? copy = null)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, typeof(IDeviceStream));
        if ((_failure ?? _device.Loss) is { } failure)
        {
            throw SimulatedFailure.Of("enqueue", "STREAM_FAILED", 0, $"Earlier work failed: {failure.Message}");
        }

        var operation = new SimulatedOperation(
            _device.NextOrdinal(), kind, Handle, copy?.HostAddress ?? 0, copy?.DeviceAddress ?? 0, copy is null ? 0 : copy.RowBytes * copy.RowCount);
        if (_device.RefusedOperations.Contains(operation.Ordinal))
        {
            _device.NoteDone();
            throw SimulatedFailure.Of("enqueue", "REFUSED", operation.LengthBytes, "This operation was told to be refused.");
        }

        if (!_queue.Writer.TryWrite(make(operation)))
        {
            _device.NoteDone();
            ObjectDisposedException.ThrowIf(true, typeof(IDeviceStream));
        }
    }

    private async Task RunAsync()
    {
        await foreach (var work in _queue.Reader.ReadAllAsync())
        {
            try
            {
                await RunAsync(work);
            }
            catch (Exception failure)
            {
                _failure ??= failure; // sticky, as on a real device
            }

            work.Buffer?.Leave();
            if (_failure is { } reason)
            {
                work.Fence?.Fail(reason);
            }
            else
            {
                _device.NoteExecuted(work.Operation);
                work.Fence?.Complete();
            }

            _device.NoteDone();
        }
    }

    private async Task RunAsync(SimulatedWork work)
    {
        await DelayAsync();
        if (_device.Running is { } running)
        {
            await _device.UnlessLostAsync(running(work.Operation));
        }

        if ((_failure ?? _device.Loss) is { } failure)
        {
            throw failure;
        }

        if (_device.FailingOperations.Contains(work.Operation.Ordinal))
        {
            throw SimulatedFailure.Of("run", "INJECTED", work.Operation.LengthBytes, "This operation was told to fail.");
        }

        if (work.After is { } after)
        {
            await _device.UnlessLostAsync(after.Done);
        }

        if (work.Copy is { } copy)
        {
            _device.ThrowIfFreed(work.Buffer!, copy);
            copy.Run(upperHalf: true);
            await DelayAsync();
            _device.ThrowIfFreed(work.Buffer!, copy);
            copy.Run(upperHalf: false);
        }
    }

    // One step in sixteen waits for a timer (1 to 2 ms), the others give way up to three times: streams overtake each other often.
    private async Task DelayAsync()
    {
        if (_random.Next(16) == 0)
        {
            await Task.Delay(1);
            return;
        }

        for (var turns = _random.Next(4); turns > 0; turns--)
        {
            await Task.Yield();
        }
    }
}
