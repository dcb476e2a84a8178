namespace LpLlm.Memory.Attention.Tests;

/// <summary>
/// What a model on a device does, behind the host's interface: inputs are made on one stream and the result is read on another, and nothing
/// but events and streams orders the manager's copies between them. The host waits for the end only.
/// </summary>
public sealed class DeviceClient(IAttnManager manager, IMemoryDevice device, bool convert) : IAttnManager
{
    private readonly Lock _gate = new();
    private readonly FakePool _host = new("client");
    private readonly IDeviceStream _producer = device.CreateStream();
    private readonly IDeviceStream _consumer = device.CreateStream();
    private int _requests;

    public IPinnedMemoryPool Pool => manager.Pool;

    public IMemoryDevice? Device => manager.Device;

    public IKvCache CreateCache(KvCacheShape shape) => manager.CreateCache(shape);

    public Task<IDeviceFence> SubmitAsync(AttnDeviceRequest request, CancellationToken cancellationToken = default) =>
        manager.SubmitAsync(request, cancellationToken);

    public Task<PinnedTensor<float>> SubmitAsync(AttnRequest request, CancellationToken cancellationToken = default)
    {
        var kvType = convert ? KvElementType.Float32 : request.Rows[0].Sequence.Cache.Shape.ElementType;
        var tensors = new DeviceTensors(device, _host, request, kvType);
        lock (_gate)
        {
            // Every second request is ordered by events, the others by streams.
            var byEvent = ++_requests % 2 == 0;
            tensors.EnqueueUpload(_producer);
            var ready = _producer.Record();
            var submitted = manager.SubmitAsync(
                tensors.Request(byEvent ? ready.EventHandle : null, byEvent ? null : _producer.Handle, byEvent ? null : _consumer.Handle),
                cancellationToken);
            return FinishAsync(tensors, submitted, ready, byEvent);
        }
    }

    public void Dispose() => manager.Dispose();

    public ValueTask DisposeAsync() => manager.DisposeAsync();

    /// <summary>The model is done with its streams; a manager may be disposed long before.</summary>
    public void DisposeStreams()
    {
        _producer.Dispose();
        _consumer.Dispose();
    }

    private async Task<PinnedTensor<float>> FinishAsync(DeviceTensors tensors, Task<IDeviceFence> submitted, IDeviceFence ready, bool byEvent)
    {
        using (tensors)
        {
            try
            {
                var result = await submitted;
                IDeviceFence read;
                lock (_gate)
                {
                    if (byEvent)
                    {
                        _consumer.WaitForEvent(result.EventHandle);
                    }

                    tensors.EnqueueDownload(_consumer);
                    read = _consumer.Record();
                }

                await read.WaitAsync();
                return tensors.CopyResult(_host);
            }
            finally
            {
                await ready.WaitAsync(); // a refused request's inputs may still be on their way to the device
            }
        }
    }
}
