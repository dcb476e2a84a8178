namespace LpLlm.Memory.Attention.Tests;

/// <summary>A request's tensors on a device, and the host memory they come from and go to.</summary>
public sealed class DeviceTensors : IDisposable
{
    private readonly List<IDisposable> _things = [];
    private readonly AttnRequest _request;
    private readonly (PinnedLease Host, AttnDeviceTensor Device) _query;
    private readonly (PinnedLease Host, AttnDeviceTensor Device) _key;
    private readonly (PinnedLease Host, AttnDeviceTensor Device) _value;
    private readonly (PinnedLease Host, AttnDeviceTensor Device) _result;

    /// <summary>Allocates; nothing is copied yet.</summary>
    /// <param name="device">The device.</param>
    /// <param name="host">Gives the host memory.</param>
    /// <param name="request">The same request on the host.</param>
    /// <param name="kvType">How keys and values lie on the device.</param>
    /// <param name="queryType">How queries and the result lie there.</param>
    public DeviceTensors(
        IMemoryDevice device, FakePool host, AttnRequest request, KvElementType kvType, KvElementType queryType = KvElementType.Float32)
    {
        _request = request;
        _query = Create(device, host, request.Query.Span, queryType);
        _key = Create(device, host, request.Key.Span, kvType);
        _value = Create(device, host, request.Value.Span, kvType);
        _result = Create(device, host, request.Query.Span, queryType);
    }

    public AttnDeviceTensor Query => _query.Device;

    public AttnDeviceTensor Key => _key.Device;

    public AttnDeviceTensor Value => _value.Device;

    public AttnDeviceTensor Result => _result.Device;

    public AttnDeviceRequest Request(nint? readyEvent = null, nint? producer = null, nint? consumer = null) => new()
    {
        Layer = _request.Layer,
        QueryHeadCount = _request.QueryHeadCount,
        Rows = _request.Rows,
        Scale = _request.Scale,
        Query = Query,
        Key = Key,
        Value = Value,
        Result = Result,
        ReadyEvent = readyEvent,
        ProducerStream = producer,
        ConsumerStream = consumer,
    };

    public void EnqueueUpload(IDeviceStream stream)
    {
        foreach (var (host, tensor) in new[] { _query, _key, _value })
        {
            stream.CopyToDevice(host.Address, tensor.Address, host.LengthBytes);
        }
    }

    public void EnqueueDownload(IDeviceStream stream) => stream.CopyToHost(Result.Address, _result.Host.Address, _result.Host.LengthBytes);

    /// <summary>The result that was downloaded.</summary>
    public unsafe float[] ReadResult()
    {
        var values = new float[Result.ElementCount];
        fixed (float* target = values)
        {
            var source = (byte*)_result.Host.Address;
            var decoded = KvCodec.Decode(source, values.Length, Result.ElementType, target);
            new ReadOnlySpan<float>(decoded, values.Length).CopyTo(values);
        }

        return values;
    }

    public PinnedTensor<float> CopyResult(FakePool host)
    {
        var tokens = _request.Rows.Sum(row => row.TokenCount);
        var heads = _request.QueryHeadCount;
        var result = host.RentTensor<float>(tokens, heads, (nint)(Result.ElementCount / tokens / heads));
        result.CopyFrom(ReadResult());
        return result;
    }

    public void Dispose() => _things.ForEach(thing => thing.Dispose());

    private unsafe (PinnedLease Host, AttnDeviceTensor Device) Create(
        IMemoryDevice device, FakePool host, ReadOnlySpan<float> values, KvElementType type)
    {
        var bytes = (long)values.Length * KvCodec.BytesOf(type);
        var (lease, buffer) = (host.Rent(bytes), device.Allocate(bytes));
        _things.Add(lease);
        _things.Add(buffer);
        fixed (float* source = values)
        {
            KvCodec.Encode(source, (byte*)lease.Address, values.Length, type);
        }

        return (lease, new AttnDeviceTensor(buffer.Address, values.Length, type));
    }
}
