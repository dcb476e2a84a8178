using Google.Protobuf;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;
using LpLlm.Memory.Transport.Grpc.Wire;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>The original's contract, call by call; its faults S1 to S9 by name. What foreign clients make of it is in the Interop tests.</summary>
public sealed class StorageServiceTests : IAsyncLifetime, IDisposable
{
    private StorageServer _server = null!;
    private RawGrpcClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = await StorageServer.StartAsync();
        _client = new RawGrpcClient(_server.EndPoint);
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task S1_AllocatePoolMemory_OfAFreshServer_Succeeds()
    {
        var lease = await AllocateAsync("a", 8);

        lease.SizeMb.Should().Be(8);
        lease.SizeBytes.Should().Be(8 << 20);
        lease.StartOffset.Should().Be(0);
        _server.Engine.GetStatistics().LeasedBytes.Should().Be(8 << 20);
    }

    [Fact]
    public async Task S2_AllocatePoolMemory_SizeZero_IsAQuarterOfThePool()
    {
        var lease = await AllocateAsync("a", 0);

        lease.SizeBytes.Should().Be(StorageServer.CapacityBytes / 4);
        lease.SizeMb.Should().Be((int)(StorageServer.CapacityBytes / 4 >> 20));
    }

    [Fact]
    public async Task AllocatePoolMemory_OddSize_IsExactInALongerSegment()
    {
        var lease = await AllocateAsync("a", 3);

        lease.SizeBytes.Should().Be(3 << 20);
        _server.Source.Made.Should().ContainSingle().Which.LengthBytes.Should().Be(4 << 20);
    }

    [Fact]
    public async Task S4_AllocatePoolMemory_SameClientAgain_GetsTheSameLease()
    {
        var first = await AllocateAsync("a", 8);
        using var reconnected = new RawGrpcClient(_server.EndPoint);

        var again = await CallAsync(reconnected, "AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 8 }, AllocatePoolMemoryResponse.Parser);

        again.Should().Be(first);
        _server.Engine.GetStatistics().Leases.Should().Be(1);
    }

    [Fact]
    public async Task S4_AllocatePoolMemory_ManyAtATime_IsOneLease()
    {
        var leases = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AllocateAsync("a", 8)));

        leases.Distinct().Should().ContainSingle();
        _server.Source.Made.Should().ContainSingle();
    }

    [Fact]
    public async Task Allocate_NegativeDevice_IsRefused()
    {
        var reply = await RawAsync("AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 8, DeviceId = -1 });

        (reply.Status, reply.Text).Should().Be(("3", "device_id is -1; it must not be negative. Host memory is the same for every device."));
        _server.Source.Made.Should().BeEmpty();
    }

    [Theory]
    [InlineData("a", -1, "3", "size_mb is -1")]
    [InlineData("a", int.MinValue, "3", "size_mb")]
    [InlineData("", 8, "3", "client_id")]
    [InlineData("a\u001b[2J", 8, "3", "client_id")]
    [InlineData("a\nb", 8, "3", "client_id")]
    [InlineData("a", int.MaxValue, "8", "CapacityBytes")]
    [InlineData("a", 129, "8", "CapacityBytes")]
    public async Task S6_AllocatePoolMemory_BadSizeOrId_IsRefusedWithDetailsAndChangesNothing(string clientId, int sizeMb, string status, string text)
    {
        var reply = await RawAsync("AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = clientId, SizeMb = sizeMb });

        reply.Status.Should().Be(status);
        reply.Text.Should().Contain(text);
        var statistics = _server.Engine.GetStatistics();
        (statistics.LeasedBytes, statistics.Sessions).Should().Be((0, 0));
    }

    [Fact]
    public async Task AllocatePoolMemory_IdOf129Characters_IsRefused() =>
        (await RawAsync("AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = new string('x', 129), SizeMb = 2 })).Status.Should().Be("3");

    [Fact]
    public async Task AllocatePoolMemory_Exhausted_IsResourceExhaustedWithFigures()
    {
        await AllocateAsync("a", 100);

        var reply = await RawAsync("AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "b", SizeMb = 100 });

        reply.Status.Should().Be("8");
        reply.Text.Should().Contain((100 << 20).ToString());
        _server.Engine.GetStatistics().Sessions.Should().Be(1);
    }

    [Fact]
    public async Task S8_AllocatePoolMemory_Handle_IsTheTextOfATupleWithThePath()
    {
        var lease = await AllocateAsync("a", 8);

        lease.SharedMemoryPath.Should().StartWith($"/proc/{Environment.ProcessId}/fd/");
        lease.MemoryHandles.Should().ContainSingle().Which.ToStringUtf8().Should().Be($"(b'', b'{lease.SharedMemoryPath}', {8 << 20})");
        using var file = File.OpenHandle(lease.SharedMemoryPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        RandomAccess.GetLength(file).Should().Be(8 << 20, "the data starts at offset 0, without a header");
    }

    [Fact]
    public async Task FreePoolMemory_Twice_IsTrueThenFalse()
    {
        await AllocateAsync("a", 8);

        (await FreeAsync("a")).Should().BeTrue();
        (await FreeAsync("a")).Should().BeFalse();
        (await FreeAsync("nobody")).Should().BeFalse();
        (await RawAsync("FreePoolMemory", new FreePoolMemoryRequest())).Status.Should().Be("3");
        _server.Engine.GetStatistics().LeasedBytes.Should().Be(0);
        (await AllocateAsync("a", 16)).SizeMb.Should().Be(16);
    }

    [Fact]
    public async Task S7_CopyToPoolAndFromPool_AcrossChunks_AreTheSameBytes()
    {
        await AllocateAsync("a", 10);
        var first = await AllocateFromPoolAsync("a", 1);
        var second = await AllocateFromPoolAsync("a", 4096);
        (await FreeFromPoolAsync("a", first.AllocationId)).Success.Should().BeTrue();
        var third = await AllocateFromPoolAsync("a", 6144);
        var bytes = new byte[(3 << 20) + 7];
        new Random(7).NextBytes(bytes);

        (await CopyToAsync("a", third.AllocationId, 11, bytes)).Success.Should().BeTrue();

        first.ChunkIndices.Should().Equal(0);
        second.ChunkIndices.Should().Equal(1, 2);
        third.ChunkIndices.Should().Equal(0, 3, 4);
        third.ChunkSize.Should().Be(StorageServer.ChunkBytes);
        var segment = _server.Source.Made.Single();
        segment.Bytes[11..StorageServer.ChunkBytes].SequenceEqual(bytes.AsSpan(0, StorageServer.ChunkBytes - 11)).Should().BeTrue();
        segment.Bytes.Slice(3 * StorageServer.ChunkBytes, 100).SequenceEqual(bytes.AsSpan(StorageServer.ChunkBytes - 11, 100)).Should().BeTrue();
        segment.Bytes.Slice(StorageServer.ChunkBytes, 2 * StorageServer.ChunkBytes).IndexOfAnyExcept((byte)0).Should().Be(-1, "the neighbour is untouched");
        var back = new List<byte>();
        while (back.Count < bytes.Length)
        {
            var part = Math.Min(1 << 20, bytes.Length - back.Count);
            back.AddRange((await CopyFromAsync("a", third.AllocationId, 11 + back.Count, part)).Data.ToByteArray());
        }

        back.Should().Equal(bytes);
    }

    [Fact]
    public async Task S7_CopyToPool_OfAWholeChunk_FitsIntoOneMessage()
    {
        await using var server = await StorageServer.StartAsync(chunkBytes: 32 << 20);
        using var client = new RawGrpcClient(server.EndPoint);
        await CallAsync(client, "AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 64 }, AllocatePoolMemoryResponse.Parser);
        var allocation = await CallAsync(client, "AllocateFromPool", new AllocateFromPoolRequest { ClientId = "a", SizeKb = 1 }, AllocateFromPoolResponse.Parser);
        var bytes = new byte[32 << 20];
        new Random(32).NextBytes(bytes);

        await CallAsync(
            client, "CopyToPool", new CopyToPoolRequest { ClientId = "a", AllocationId = allocation.AllocationId, Data = ByteString.CopyFrom(bytes) }, CopyToPoolResponse.Parser);
        var back = await CallAsync(
            client, "CopyFromPool", new CopyFromPoolRequest { ClientId = "a", AllocationId = allocation.AllocationId, Size = bytes.Length }, CopyFromPoolResponse.Parser);

        back.Data.Span.SequenceEqual(bytes).Should().BeTrue();
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(0, 4_194_305)]
    [InlineData(4_194_304, 1)]
    [InlineData(int.MaxValue, 1)]
    [InlineData(int.MaxValue, int.MinValue)]
    [InlineData(int.MinValue, int.MaxValue)]
    public async Task S7_CopyFromPool_OutsideTheAllocation_IsRefused(int offset, int size)
    {
        await AllocateAsync("a", 8);
        var allocation = await AllocateFromPoolAsync("a", 4096);

        var reply = await RawAsync("CopyFromPool", new CopyFromPoolRequest { ClientId = "a", AllocationId = allocation.AllocationId, ChunkOffset = offset, Size = size });

        reply.Status.Should().BeOneOf("11", "8");
        reply.Text.Should().NotBeEmpty();
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(4_194_303, 2)]
    [InlineData(int.MaxValue, 100)]
    public async Task S7_CopyToPool_OutsideTheAllocation_IsRefusedAndWritesNothing(int offset, int size)
    {
        await AllocateAsync("a", 8);
        var allocation = await AllocateFromPoolAsync("a", 4096);
        var data = Enumerable.Repeat((byte)0xFF, size).ToArray();

        var reply = await RawAsync(
            "CopyToPool", new CopyToPoolRequest { ClientId = "a", AllocationId = allocation.AllocationId, ChunkOffset = offset, Data = ByteString.CopyFrom(data) });

        reply.Status.Should().Be("11");
        _server.Source.Made.Single().Bytes.IndexOf((byte)0xFF).Should().Be(-1);
    }

    [Fact]
    public async Task S7_AllocationsOfOthersAndOfNobody_AreNotFound()
    {
        await AllocateAsync("a", 8);
        await AllocateAsync("b", 8);
        var allocation = await AllocateFromPoolAsync("a", 1);

        (await FreeFromPoolAsync("b", allocation.AllocationId)).Should().Match<FreeFromPoolResponse>(r => !r.Success && r.ErrorMessage.Contains("Allocation 1"));
        (await RawAsync("CopyFromPool", new CopyFromPoolRequest { ClientId = "b", AllocationId = 1, Size = 1 })).Status.Should().Be("5");
        (await RawAsync("CopyToPool", new CopyToPoolRequest { ClientId = "nobody", AllocationId = 1 })).Status.Should().Be("5");
        (await AllocateFromPoolAsync("nobody", 1)).Should().Match<AllocateFromPoolResponse>(r => !r.Success && r.ErrorMessage.Contains("nobody"));
        (await FreeFromPoolAsync("a", allocation.AllocationId)).Success.Should().BeTrue();
        (await FreeFromPoolAsync("a", allocation.AllocationId)).Success.Should().BeFalse();
    }

    /// <summary>Clients compute addresses as index × chunk_size: a chunk that is handed out is whole, and within size_bytes.</summary>
    [Theory]
    [InlineData(7, 3, true)]
    [InlineData(8, 4, false)]
    public async Task S7_AllocateFromPool_MemoryIsNoMultipleOfTheChunk_HandsOutWholeChunksAndNamesTheRest(int sizeMb, int chunks, bool hasRest)
    {
        await AllocateAsync("a", sizeMb);

        var all = await AllocateFromPoolAsync("a", chunks * 2048);
        var more = await AllocateFromPoolAsync("a", 1);

        all.ChunkIndices.Should().Equal(Enumerable.Range(0, chunks));
        more.Success.Should().BeFalse();
        more.ErrorMessage.Contains("Its last 1048576 B are no whole chunk").Should().Be(hasRest);
    }

    [Fact]
    public async Task S7_AllocateFromPool_MoreThanIsFree_FailsWithFigures()
    {
        await AllocateAsync("a", 8);

        (await AllocateFromPoolAsync("a", 8193)).Should().Match<AllocateFromPoolResponse>(r => !r.Success && r.ErrorMessage.Contains("5 chunks"));
        (await AllocateFromPoolAsync("a", int.MaxValue)).Success.Should().BeFalse();
        (await AllocateFromPoolAsync("a", 8192)).ChunkIndices.Should().HaveCount(4);
        (await RawAsync("AllocateFromPool", new AllocateFromPoolRequest { ClientId = "a", SizeKb = 0 })).Status.Should().Be("3");
        (await RawAsync("AllocateFromPool", new AllocateFromPoolRequest { ClientId = "a", SizeKb = -5 })).Status.Should().Be("3");
    }

    [Fact]
    public async Task S9_Statistics_ShowStorageClients()
    {
        await AllocateAsync("python-client", 8);

        var lease = _server.Engine.List().Should().ContainSingle().Which;

        lease.Name.Should().Be("python-client");
        lease.Owner.ProcessId.Should().Be(Environment.ProcessId);
        lease.LengthBytes.Should().Be(8 << 20);
    }

    [Fact]
    public async Task S9_AllocatePoolMemory_AfterTheOperatorRevokedIt_SaysSoUntilItIsFreed()
    {
        await AllocateAsync("a", 8);
        _server.Engine.Revoke(_server.Engine.List().Single().Id, "maintenance");

        (await RawAsync("AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 8 })).Status.Should().Be("10");
        (await FreeAsync("a")).Should().BeTrue();
        (await AllocateAsync("a", 8)).SizeMb.Should().Be(8);
    }

    [Fact]
    public async Task AllocateFromPool_LessMemoryThanAChunk_IsOneChunkOfThat()
    {
        await using var server = await StorageServer.StartAsync(chunkBytes: 32 << 20);
        using var client = new RawGrpcClient(server.EndPoint);
        await CallAsync(client, "AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 16 }, AllocatePoolMemoryResponse.Parser);

        var allocation = await CallAsync(client, "AllocateFromPool", new AllocateFromPoolRequest { ClientId = "a", SizeKb = 16 << 10 }, AllocateFromPoolResponse.Parser);

        allocation.Success.Should().BeTrue(allocation.ErrorMessage);
        allocation.ChunkSize.Should().Be(16 << 20);
        allocation.ChunkIndices.Should().Equal(0);
    }

    [Fact]
    public async Task GetServerConfig_WithSizesOfTheOperator_IsThoseAndTheyHold()
    {
        var storage = new StorageSettings { PoolBytes = 1000, ChunkBytes = 1 << 20 };
        await using var server = await StorageServer.StartAsync(settings: new GrpcTransportSettings { Storage = storage });
        using var client = new RawGrpcClient(server.EndPoint);

        var config = await CallAsync(client, "GetServerConfig", new GetServerConfigRequest(), GetServerConfigResponse.Parser);

        config.MemPoolSize.Should().Be(1000);
        config.ChunkSize.Should().Be(1 << 20);
        await CallAsync(client, "AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = "a", SizeMb = 4 }, AllocatePoolMemoryResponse.Parser);
        var allocation = await CallAsync(client, "AllocateFromPool", new AllocateFromPoolRequest { ClientId = "a", SizeKb = 2048 }, AllocateFromPoolResponse.Parser);
        allocation.ChunkIndices.Should().HaveCount(2);
    }

    [Fact]
    public async Task GetServerConfig_IsTheServersOwn()
    {
        var config = await CallAsync(_client, "GetServerConfig", new GetServerConfigRequest(), GetServerConfigResponse.Parser);

        config.MemPoolSize.Should().Be(StorageServer.CapacityBytes);
        config.ChunkSize.Should().Be(StorageServer.ChunkBytes);
    }

    [Theory]
    [InlineData("RegisterModel")]
    [InlineData("LoadModelAsync")]
    [InlineData("ConfirmModel")]
    [InlineData("UnloadModel")]
    [InlineData("ClearMem")]
    public async Task ModelCalls_WithoutAModelStore_AreUnimplementedWithDetails(string method)
    {
        var reply = await RawAsync(method, new ClearMemRequest());

        reply.Status.Should().Be("12");
        reply.Text.Should().Contain("model store");
    }

    /// <summary>Row 30: every call with random and mutated messages. Each is answered, and what is leased adds up afterwards.</summary>
    [Fact]
    public async Task Row30_EveryCall_WithMutatedMessages_IsAnswered()
    {
        string[] methods =
            ["AllocatePoolMemory", "FreePoolMemory", "AllocateFromPool", "FreeFromPool", "CopyToPool", "CopyFromPool", "GetServerConfig", "LoadModelAsync"];
        var seed = new CopyToPoolRequest { ClientId = "a", AllocationId = 1, ChunkOffset = 5, Data = ByteString.CopyFrom(1, 2, 3) }.ToByteArray();
        var random = new Random(30);
        await AllocateAsync("a", 8);
        await AllocateFromPoolAsync("a", 1);
        for (var round = 0; round < 2000; round++)
        {
            var message = round % 3 == 0 ? new byte[random.Next(40)] : seed.ToArray();
            if (round % 3 == 0)
            {
                random.NextBytes(message);
            }
            else
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            var reply = await _client.CallAsync($"/storage.Storage/{methods[random.Next(methods.Length)]}", RawGrpcClient.Frame(message)).DefaultTimeout();
            reply.Status.Should().BeOneOf("0", "3", "5", "8", "10", "11", "12");
        }

        var statistics = _server.Engine.GetStatistics();
        statistics.LeasedBytes.Should().Be(_server.Engine.List().Sum(lease => lease.LengthBytes)).And.BeLessThanOrEqualTo(StorageServer.CapacityBytes);
    }

    private static async Task<T> CallAsync<T>(RawGrpcClient client, string method, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        var reply = await client.CallAsync($"/storage.Storage/{method}", RawGrpcClient.Frame(request.ToByteArray())).DefaultTimeout();
        reply.Status.Should().Be("0", reply.Text);
        return parser.ParseFrom(reply.Body.AsSpan(GrpcFrame.HeaderLength));
    }

    private Task<RawGrpcReply> RawAsync(string method, IMessage request) =>
        _client.CallAsync($"/storage.Storage/{method}", RawGrpcClient.Frame(request.ToByteArray())).DefaultTimeout();

    private Task<AllocatePoolMemoryResponse> AllocateAsync(string clientId, int sizeMb) =>
        CallAsync(_client, "AllocatePoolMemory", new AllocatePoolMemoryRequest { ClientId = clientId, SizeMb = sizeMb }, AllocatePoolMemoryResponse.Parser);

    private async Task<bool> FreeAsync(string clientId) =>
        (await CallAsync(_client, "FreePoolMemory", new FreePoolMemoryRequest { ClientId = clientId }, FreePoolMemoryResponse.Parser)).Success;

    private Task<AllocateFromPoolResponse> AllocateFromPoolAsync(string clientId, int sizeKb) =>
        CallAsync(_client, "AllocateFromPool", new AllocateFromPoolRequest { ClientId = clientId, SizeKb = sizeKb }, AllocateFromPoolResponse.Parser);

    private Task<FreeFromPoolResponse> FreeFromPoolAsync(string clientId, int id) =>
        CallAsync(_client, "FreeFromPool", new FreeFromPoolRequest { ClientId = clientId, AllocationId = id }, FreeFromPoolResponse.Parser);

    private Task<CopyToPoolResponse> CopyToAsync(string clientId, int id, int offset, byte[] data) =>
        CallAsync(
            _client,
            "CopyToPool",
            new CopyToPoolRequest { ClientId = clientId, AllocationId = id, ChunkOffset = offset, Data = ByteString.CopyFrom(data) },
            CopyToPoolResponse.Parser);

    private Task<CopyFromPoolResponse> CopyFromAsync(string clientId, int id, int offset, int size) =>
        CallAsync(
            _client,
            "CopyFromPool",
            new CopyFromPoolRequest { ClientId = clientId, AllocationId = id, ChunkOffset = offset, Size = size },
            CopyFromPoolResponse.Parser);
}
