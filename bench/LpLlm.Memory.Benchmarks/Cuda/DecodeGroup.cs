using LpLlm.Memory.Attention;

namespace LpLlm.Memory.Benchmarks.Cuda;

/// <summary>Sequences that decode together, their tensors on the device and on the host, and the same copies without any attention.</summary>
internal sealed class DecodeGroup : IDisposable
{
    public const int QueryHeads = 32;
    private const int ElementBytes = 2;

    private readonly IKvSequence[] _sequences;
    private readonly int _past;
    private readonly IDeviceBuffer _query;
    private readonly IDeviceBuffer _key;
    private readonly IDeviceBuffer _value;
    private readonly IDeviceBuffer _result;
    private readonly PinnedLease _scratch;

    public DecodeGroup(IMemoryDevice device, IPinnedMemoryPool pool, IKvCache cache, int sequences, int past)
    {
        var shape = cache.Shape;
        _past = past;
        _sequences = [.. Enumerable.Range(0, sequences).Select(_ => cache.CreateSequence())];
        var (queries, keys) = (sequences * QueryHeads * shape.HeadDim, sequences * shape.KvHeadCount * shape.HeadDim);
        _query = device.Allocate(queries * ElementBytes);
        _key = device.Allocate(keys * ElementBytes);
        _value = device.Allocate(keys * ElementBytes);
        _result = device.Allocate(queries * ElementBytes);
        _scratch = pool.Rent(2L * queries * ElementBytes + 2L * keys * ElementBytes);
        OnHost = CreateRequest(1);
        OnDevice = new AttnDeviceRequest
        {
            Layer = 0,
            QueryHeadCount = QueryHeads,
            Rows = OnHost.Rows,
            Query = new AttnDeviceTensor(_query.Address, queries, KvElementType.BFloat16),
            Key = new AttnDeviceTensor(_key.Address, keys, KvElementType.BFloat16),
            Value = new AttnDeviceTensor(_value.Address, keys, KvElementType.BFloat16),
            Result = new AttnDeviceTensor(_result.Address, queries, KvElementType.BFloat16),
        };
    }

    public AttnRequest OnHost { get; }

    public AttnDeviceRequest OnDevice { get; }

    public static KvCacheShape Shape { get; } = new() { LayerCount = 1, KvHeadCount = 8, HeadDim = 128, ElementType = KvElementType.BFloat16 };

    /// <summary>Gives the sequences their past, and the device's tensors numbers.</summary>
    public async Task FillAsync(IAttnManager manager, IDeviceStream stream)
    {
        _scratch.AsSpan<byte>().Fill(0x3C); // 0x3C3C is 0.0115 in bfloat16
        foreach (var buffer in new[] { _query, _key, _value, _result })
        {
            stream.CopyToDevice(_scratch.Address, buffer.Address, buffer.LengthBytes);
        }

        await stream.Record().WaitAsync();
        (await manager.SubmitAsync(CreateRequest(_past))).Dispose();
    }

    /// <summary>The copies of a step as the manager makes them, into memory that nobody reads.</summary>
    public void EnqueueCopies(IDeviceStream inwards, IDeviceStream outwards)
    {
        var token = (long)Shape.HeadDim * ElementBytes;
        var each = Shape.KvHeadCount * token;
        inwards.CopyToHost(_query.Address, _scratch.Address, _query.LengthBytes);
        var target = _scratch.Address + (nint)_query.LengthBytes;
        foreach (var buffer in new[] { _key, _value })
        {
            for (var i = 0; i < _sequences.Length; i++, target += (nint)each)
            {
                inwards.CopyToHost(buffer.Address + (nint)(i * each), token, target, token, token, Shape.KvHeadCount);
            }
        }

        outwards.CopyToDevice(_scratch.Address + (nint)(_scratch.LengthBytes - _result.LengthBytes), _result.Address, _result.LengthBytes);
    }

    /// <summary>Forgets what the steps have appended.</summary>
    public void Rewind()
    {
        foreach (var sequence in _sequences)
        {
            sequence.Truncate(_past);
        }
    }

    public void Dispose()
    {
        foreach (var buffer in new[] { _query, _key, _value, _result })
        {
            buffer.Dispose();
        }

        _scratch.Dispose();
    }

    private AttnRequest CreateRequest(int tokens)
    {
        var random = new Random(1);
        float[] Draw(int heads)
        {
            var values = new float[_sequences.Length * tokens * heads * Shape.HeadDim];
            foreach (ref var value in values.AsSpan())
            {
                value = random.NextSingle() - 0.5f;
            }

            return values;
        }

        return new AttnRequest
        {
            Layer = 0,
            QueryHeadCount = QueryHeads,
            Rows = [.. _sequences.Select(sequence => new AttnRow(sequence, tokens))],
            Query = Draw(QueryHeads),
            Key = Draw(Shape.KvHeadCount),
            Value = Draw(Shape.KvHeadCount),
        };
    }
}
