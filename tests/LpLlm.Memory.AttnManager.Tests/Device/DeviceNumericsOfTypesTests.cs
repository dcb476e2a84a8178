namespace LpLlm.Memory.Attention.Tests;

/// <summary>Element types on the device beside those of the cache, and which way keys and values take.</summary>
public class DeviceNumericsOfTypesTests : DeviceTestBase
{
    public static TheoryData<KvElementType, KvElementType, KvElementType> Types()
    {
        var data = new TheoryData<KvElementType, KvElementType, KvElementType>();
        foreach (var cache in Enum.GetValues<KvElementType>())
        {
            foreach (var keys in Enum.GetValues<KvElementType>())
            {
                data.Add(cache, keys, KvElementType.Float32);
                if (keys != KvElementType.Float32)
                {
                    data.Add(cache, keys, keys);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Types))]
    public async Task Submit_AnyElementTypes_MatchesOracle(KvElementType cacheType, KvElementType kvType, KvElementType queryType)
    {
        var manager = CreateManager();
        var all = Rounded(Tokens.Random(1, 40, 4, Shape with { ElementType = cacheType }), kvType, queryType);
        var sequence = manager.CreateCache(all.Shape).CreateSequence();

        var prefill = await AttendAsync(manager, sequence, all.Slice(0, 39), kvType, queryType);
        var decode = await AttendAsync(manager, sequence, all.Slice(39, 1), kvType, queryType);

        // A result of 16 bits is rounded once: half a unit in the last of 8 or 11 bits of values up to 2.
        var tolerance = queryType switch { KvElementType.BFloat16 => 8e-3f, KvElementType.Float16 => 1e-3f, _ => 2e-5f };
        prefill.ShouldMatch(Oracle.Attend(all.Slice(0, 39), 39), tolerance);
        decode.ShouldMatch(Oracle.Attend(all, 1), tolerance);
    }

    [Fact]
    public async Task Submit_TypeOfTheCache_KeysAndValuesGoStraightIntoThePages()
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(1, 20, 4, Shape);
        var rents = new List<long>();
        var cache = manager.CreateCache(Shape);
        Pool.Renting = rents.Add;
        var tensors = await UploadAsync(cache.CreateSequence(), tokens);
        var before = Device.Executed.Count;

        var fence = await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);

        // Two pages, a block for the queries, one for the result, and nothing else: 16 tokens are two copies (one a head), 4 as well.
        rents.Should().Equal(cache.PageBytes, cache.PageBytes, 20 * 4 * 8 * 4, 20 * 4 * 8 * 4);
        Device.Executed.Skip(before).Where(operation => operation.IsCopy).Select(operation => operation.LengthBytes).Should().Equal(
            2560, 512, 512, 128, 128, 512, 512, 128, 128, 2560);
    }

    [Fact]
    public async Task Submit_DecodeStep_IsOneCopyForAllKeysOfASequence()
    {
        var manager = CreateManager();
        var sequence = manager.CreateCache(Shape).CreateSequence();
        var tensors = await UploadAsync(sequence, Tokens.Random(1, 1, 4, Shape));
        var before = Device.Executed.Count;

        var fence = await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);

        Device.Executed.Skip(before).Count(operation => operation.IsCopy).Should().Be(4, "queries, keys, values, result");
    }

    [Fact]
    public async Task Submit_ResultOverTheQueries_IsTheResult()
    {
        var manager = CreateManager();
        var tokens = Tokens.Random(1, 20, 4, Shape);
        var tensors = await UploadAsync(manager.CreateCache(Shape).CreateSequence(), tokens);
        var given = tensors.Request();
        var request = new AttnDeviceRequest
        {
            Layer = 0,
            QueryHeadCount = 4,
            Rows = given.Rows,
            Query = given.Query,
            Key = given.Key,
            Value = given.Value,
            Result = given.Query,
        };

        var fence = await manager.SubmitAsync(request).WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);

        using var stream = Device.CreateStream();
        using var lease = Host.RentTensor<float>(20, 4, 8);
        stream.CopyToHost(given.Query.Address, lease.Lease.Address, lease.Lease.LengthBytes);
        await stream.Record().WaitAsync().AsTask().WaitAsync(Deadline);
        lease.AsSpan().ToArray().ShouldMatch(Oracle.Attend(tokens, 20));
    }

    [Fact]
    public async Task Submit_HostRequestsInBetween_ShareTheSequence()
    {
        var manager = CreateManager();
        var all = Tokens.Random(1, 40, 4, Shape);
        var sequence = manager.CreateCache(Shape).CreateSequence();

        (await manager.AttendAsync(sequence, all.Slice(0, 10))).ShouldMatch(Oracle.Attend(all.Slice(0, 10), 10));
        (await AttendAsync(manager, sequence, all.Slice(10, 20))).ShouldMatch(Oracle.Attend(all.Slice(0, 30), 20));
        (await manager.AttendAsync(sequence, all.Slice(30, 10))).ShouldMatch(Oracle.Attend(all, 10));
    }

    // The oracle rounds to the cache's type; what the device holds is rounded before.
    private static Tokens Rounded(Tokens tokens, KvElementType kvType, KvElementType queryType) => tokens with
    {
        Query = [.. tokens.Query.Select(value => Round(value, queryType))],
        Key = [.. tokens.Key.Select(value => Round(value, kvType))],
        Value = [.. tokens.Value.Select(value => Round(value, kvType))],
    };

    private static float Round(float value, KvElementType type) => type switch
    {
        KvElementType.Float16 => (float)(Half)value,
        KvElementType.BFloat16 => (float)(BFloat16)value,
        _ => value,
    };
}
