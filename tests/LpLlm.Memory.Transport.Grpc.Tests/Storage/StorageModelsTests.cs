using Google.Protobuf;
using LpLlm.Memory.Models;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;
using LpLlm.Memory.Transport.Grpc.Wire;
using LpLlm.Memory.Transport.Models;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>The original's calls for models: which code for what, and that nobody waits for anybody else.</summary>
public sealed class StorageModelsTests : IAsyncLifetime, IDisposable
{
    private readonly ScriptedModels _models = new();
    private StorageServer _server = null!;
    private RawGrpcClient _client = null!;

    public async Task InitializeAsync()
    {
        _server = await StorageServer.StartAsync(models: _models);
        _client = new RawGrpcClient(_server.EndPoint);
    }

    public async Task DisposeAsync() => await _server.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task Register_Load_Confirm_Unload_Clear_AreOkAndEchoThePath()
    {
        (await OkAsync("RegisterModel", new RegisterModelRequest { ModelPath = "m" }, RegisterModelResponse.Parser))
            .Should().Be(new RegisterModelResponse { ModelPath = "m", ModelSize = 123 });
        (await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser)).ModelPath.Should().Be("m");
        (await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser)).ModelPath.Should().Be("m", "a load that runs or is over is none");
        (await OkAsync("ConfirmModel", Confirm("m"), ConfirmModelResponse.Parser)).Should().Be(new ConfirmModelResponse { ModelPath = "m" });
        (await OkAsync("UnloadModel", Unload("m"), UnloadModelResponse.Parser)).Should().Be(new UnloadModelResponse { ModelPath = "m" });
        await OkAsync("ClearMem", new ClearMemRequest(), ClearMemResponse.Parser);
        await OkAsync("ClearMem", new ClearMemRequest(), ClearMemResponse.Parser);
        (await OkAsync("GetServerConfig", new GetServerConfigRequest(), GetServerConfigResponse.Parser)).Should()
            .Be(new GetServerConfigResponse { MemPoolSize = StorageServer.CapacityBytes, ChunkSize = StorageServer.ChunkBytes });
    }

    public static TheoryData<string, IMessage, string, string> Errors => new()
    {
        { "RegisterModel", new RegisterModelRequest(), "3", "model_path" },
        { "RegisterModel", new RegisterModelRequest { ModelPath = "x" }, "13", "tensor.data_0" },
        { "RegisterModel", new RegisterModelRequest { ModelPath = "../m" }, "3", "refused" },
        { "LoadModelAsync", Load(""), "3", "model_path" },
        { "LoadModelAsync", Load("x"), "13", "tensor.data_0" },
        { "LoadModelAsync", Load("../m"), "3", "refused" },
        { "LoadModelAsync", Load("m", DeviceType.Disk), "12", "target_device_type is Disk" },
        { "LoadModelAsync", Load("m", (DeviceType)77), "12", "77" },
        { "LoadModelAsync", Load("m", DeviceType.Gpu), "3", "replica_uuid" },
        { "LoadModelAsync", Load("m", DeviceType.Gpu, "r"), "9", "no device" },
        { "ConfirmModel", Confirm(""), "3", "model_path" },
        { "ConfirmModel", Confirm("m"), "13", "not in memory" },
        { "ConfirmModel", Confirm("m", DeviceType.Disk), "12", "target_device_type" },
        { "ConfirmModel", Confirm("m", DeviceType.Gpu), "9", "no device" },
        { "ConfirmModel", Confirm("../m"), "3", "refused" },
        { "UnloadModel", Unload(""), "3", "model_path" },
        { "UnloadModel", Unload("m"), "13", "not in memory" },
        { "UnloadModel", Unload("m", DeviceType.Gpu), "12", "target_device_type" },
        { "UnloadModel", Unload("../m"), "3", "refused" },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public async Task U9_Errors_HaveTheOriginalsCodes_AndSayWhy(string method, IMessage request, string code, string text)
    {
        var reply = await RawAsync(method, request);

        reply.Status.Should().Be(code, reply.Text);
        reply.Text.Should().Contain(text);
    }

    [Fact]
    public async Task U9_LoadThatFails_IsToldByConfirm_AtOnceAndAgain()
    {
        await OkAsync("LoadModelAsync", Load("bad"), LoadModelResponse.Parser);

        for (var i = 0; i < 2; i++)
        {
            var reply = await RawAsync("ConfirmModel", Confirm("bad"));
            reply.Status.Should().Be("13");
            reply.Text.Should().Contain("the disk failed");
        }
    }

    [Fact]
    public async Task RegistrationRequired_LoadOfAnUnknownModel_IsOk_AndConfirmSaysThatItIsNotThere()
    {
        _models.IsRegistrationRequired = true;

        await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser);
        (await RawAsync("ConfirmModel", Confirm("m"))).Status.Should().Be("13");
        await OkAsync("RegisterModel", new RegisterModelRequest { ModelPath = "m" }, RegisterModelResponse.Parser);
        await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser);

        await OkAsync("ConfirmModel", Confirm("m"), ConfirmModelResponse.Parser);
    }

    [Fact]
    public async Task U2_U3_WhoWaits_HoldsUpNobody()
    {
        var gate = new TaskCompletionSource();
        _models.Gate = gate.Task;
        await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser);
        using var other = new RawGrpcClient(_server.EndPoint);
        var waiting = Enumerable.Range(0, 20).Select(_ => RawAsync("ConfirmModel", Confirm("m"))).ToList();
        var unload = RawAsync("UnloadModel", Unload("m"));

        (await RawAsync("ConfirmModel", Confirm("m2"), other)).Status.Should().Be("13", "an unknown model is told at once");
        (await RawAsync("ConfirmModel", Confirm("m", DeviceType.Gpu, "r"), other)).Status.Should().Be("9");
        waiting.Should().OnlyContain(reply => !reply.IsCompleted);
        unload.IsCompleted.Should().BeFalse();
        gate.SetResult();

        (await Task.WhenAll(waiting).DefaultTimeout()).Should().OnlyContain(reply => reply.Status == "0");
        (await unload.DefaultTimeout()).Status.Should().Be("0");
    }

    [Fact]
    public async Task U3_ClientsDeadline_EndsItsWait_NotTheLoad()
    {
        var gate = new TaskCompletionSource();
        _models.Gate = gate.Task;
        await OkAsync("LoadModelAsync", Load("m"), LoadModelResponse.Parser);

        var late = await _client.CallAsync(
            "/storage.Storage/ConfirmModel", RawGrpcClient.Frame(Confirm("m").ToByteArray()), request => request.Headers.Add("grpc-timeout", "50m")).DefaultTimeout();
        late.Status.Should().Be("4");
        gate.SetResult();

        await OkAsync("ConfirmModel", Confirm("m"), ConfirmModelResponse.Parser);
    }

    [Fact]
    public async Task U7_GpuLoad_ReachesTheReplicasAsItCame()
    {
        var replicas = new RecordingReplicas();
        _models.Replicas = replicas;
        var request = Load("m", DeviceType.Gpu, "r");
        request.Chunks.Add("gpu-1", new MemCopyChunkList { Chunks = { new MemCopyChunk { SrcOffset = ulong.MaxValue, Size = 2, DstOffset = 3, HandleIdx = 4 } } });
        request.Handles.Add("gpu-2", new MemCopyHandleList { Handles = { new MemCopyHandle { CudaIpcHandle = ByteString.CopyFromUtf8("short") } } });

        await OkAsync("LoadModelAsync", request, LoadModelResponse.Parser);
        await OkAsync("ConfirmModel", Confirm("m", DeviceType.Gpu, "r"), ConfirmModelResponse.Parser);

        var seen = replicas.Seen!;
        seen.Chunks["gpu-1"].Should().Equal(new ReplicaChunk(ulong.MaxValue, 2, 3, 4));
        seen.Handles["gpu-2"].Single().ToArray().Should().Equal("short"u8.ToArray());
    }

    private static LoadModelRequest Load(string model, DeviceType type = DeviceType.Cpu, string replica = "") =>
        new() { ModelPath = model, TargetDeviceType = type, ReplicaUuid = replica };

    private static ConfirmModelRequest Confirm(string model, DeviceType type = DeviceType.Cpu, string replica = "") =>
        new() { ModelPath = model, TargetDeviceType = type, ReplicaUuid = replica };

    private static UnloadModelRequest Unload(string model, DeviceType type = DeviceType.Cpu) => new() { ModelPath = model, TargetDeviceType = type };

    private async Task<T> OkAsync<T>(string method, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        var reply = await RawAsync(method, request).DefaultTimeout();
        reply.Status.Should().Be("0", reply.Text);
        return parser.ParseFrom(reply.Body.AsSpan(GrpcFrame.HeaderLength));
    }

    private Task<RawGrpcReply> RawAsync(string method, IMessage request, RawGrpcClient? client = null) =>
        (client ?? _client).CallAsync($"/storage.Storage/{method}", RawGrpcClient.Frame(request.ToByteArray())).DefaultTimeout();

    private sealed class RecordingReplicas : IModelReplicas
    {
        public ReplicaRequest? Seen { get; private set; }

        public ValueTask StartAsync(ReplicaRequest request, CancellationToken cancellationToken)
        {
            Seen = request;
            return ValueTask.CompletedTask;
        }

        public ValueTask ConfirmAsync(string model, string replica, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
