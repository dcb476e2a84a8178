namespace LpLlm.Memory.Attention.Tests;

/// <summary>A manager on a simulated device, and a request whose inputs are there already.</summary>
public abstract class DeviceTestBase : IAsyncLifetime
{
    private readonly List<IDisposable> _things = [];
    private readonly List<AttnManager> _managers = [];

    protected static KvCacheShape Shape { get; } = new() { LayerCount = 1, KvHeadCount = 2, HeadDim = 8 };

    protected static TimeSpan Deadline => AttnTestBase.Deadline;

    protected SimulatedDevice Device { get; } = new();

    protected FakePool Pool { get; } = new();

    protected ManualTimeProvider Time { get; } = new();

    protected FakePool Host { get; } = new("host");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var manager in _managers)
        {
            await manager.DisposeAsync().AsTask().WaitAsync(Deadline);
        }

        await DrainAsync();
        _things.ForEach(thing => thing.Dispose());
        Pool.LiveLeases.Should().Be(0, "every lease goes back");
        Device.ShouldBeClean();
    }

    internal AttnManager CreateManager(Action<AttnManagerOptions>? configure = null)
    {
        var options = new AttnManagerOptions { Parallelism = 2 };
        configure?.Invoke(options);
        var manager = new AttnManager(Pool, options, Device, Time);
        _managers.Add(manager);
        return manager;
    }

    /// <summary>Tensors on the device, not filled yet.</summary>
    protected DeviceTensors Allocate(
        IKvSequence sequence, Tokens tokens, KvElementType kvType = KvElementType.Float32, KvElementType queryType = KvElementType.Float32) =>
        Keep(new DeviceTensors(Device, Host, Tokens.Request(0, null, (sequence, tokens)), kvType, queryType));

    /// <summary>Tensors on the device, filled.</summary>
    protected async Task<DeviceTensors> UploadAsync(
        IKvSequence sequence, Tokens tokens, KvElementType kvType = KvElementType.Float32, KvElementType queryType = KvElementType.Float32)
    {
        var tensors = Allocate(sequence, tokens, kvType, queryType);
        using var stream = Device.CreateStream();
        tensors.EnqueueUpload(stream);
        await stream.Record().WaitAsync().AsTask().WaitAsync(Deadline);
        return tensors;
    }

    /// <summary>The result that lies on the device now.</summary>
    protected async Task<float[]> DownloadAsync(DeviceTensors tensors)
    {
        using var stream = Device.CreateStream();
        tensors.EnqueueDownload(stream);
        await stream.Record().WaitAsync().AsTask().WaitAsync(Deadline);
        return tensors.ReadResult();
    }

    /// <summary>The whole way: inputs to the device, the request, the result back.</summary>
    internal async Task<float[]> AttendAsync(
        AttnManager manager, IKvSequence sequence, Tokens tokens, KvElementType kvType = KvElementType.Float32,
        KvElementType queryType = KvElementType.Float32)
    {
        var tensors = await UploadAsync(sequence, tokens, kvType, queryType);
        var fence = await manager.SubmitAsync(tensors.Request()).WaitAsync(Deadline);
        await fence.WaitAsync().AsTask().WaitAsync(Deadline);
        return await DownloadAsync(tensors);
    }

    /// <summary>Until nothing is under way on the device.</summary>
    protected Task DrainAsync() => TestTimeouts.UntilAsync(() => Device.PendingOperations == 0);

    protected T Keep<T>(T thing)
        where T : IDisposable
    {
        _things.Add(thing);
        return thing;
    }
}
