using LpLlm.Memory.Daemon.Models;
using LpLlm.Memory.Models;
using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace LpLlm.Memory.Tests;

/// <summary>The daemon's models in clients' device memory, on a simulated device that server and client see as two processes do.</summary>
public sealed class DeviceModelTests : IAsyncDisposable
{
    private const int Length = 3_000_001;

    private readonly SimulatedDevice _servers = new();
    private readonly SimulatedDevice _clients = new();
    private readonly StoredModels _models = new();
    private readonly ServerFolder _folder = new();
    private readonly List<ServiceProvider> _providers = [];

    [Fact]
    public async Task AnOpenModel_IsCopiedByTheServer_ToADeviceOfThisProcess()
    {
        var data = _models.Add("m", Length);
        await StartAsync(new SimulatedDeviceSet(_servers));
        using var handle = await OpenAsync("m");

        using (var copied = await handle.CopyToDeviceAsync(_clients).DefaultTimeout())
        {
            Bytes(copied.Tensors["first"]).Should().Equal(data[..1000]);
            Bytes(copied.Tensors["rest"]).AsSpan().SequenceEqual(data.AsSpan(1000)).Should().BeTrue();
            copied.Tensors["rest"].Address.Should().Be(copied.Buffer.Address + 1024);
        }

        _clients.Executed.Should().BeEmpty("the server has copied");
        _clients.ShouldBeClean();
        _servers.Faults.Should().BeEmpty();
    }

    [Fact]
    public async Task WithoutADevice_TheServerSaysWhy_AndTheModelStaysReadable()
    {
        var data = _models.Add("m", Length);
        await StartAsync(SimulatedDeviceSet.None("The driver is missing: install it."));
        using var handle = await OpenAsync("m");

        await handle.Awaiting(open => open.CopyToDeviceAsync(_clients).DefaultTimeout()).Should()
            .ThrowAsync<PoolRequestRejectedException>().WithMessage("*The driver is missing: install it.*");

        _clients.ShouldBeClean();
        First(handle).Should().Equal(data[..1000]);
    }

    [Fact]
    public async Task AConnectionLostInTheMiddleOfACopy_FreesTheBufferOnlyWhenTheServerHasHadTimeToStop()
    {
        var gate = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        _models.Add("m", Length);
        await StartAsync(new SimulatedDeviceSet(_servers));
        var time = new HeldSecond();
        using var handle = await OpenAsync("m", time);
        var copying = handle.CopyToDeviceAsync(_clients).AsTask();
        await TestTimeouts.UntilAsync(() => _servers.PendingOperations > 0);

        var stopping = _providers[0].DisposeAsync().AsTask(); // waits for the device
        await time.Asked.DefaultTimeout();
        copying.IsCompleted.Should().BeFalse();
        _clients.LiveBuffers.Should().Be(1, "the server may still write to it");
        time.Pass();

        await copying.Awaiting(copy => copy.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
        _clients.ShouldBeClean();
        gate.SetResult();
        await stopping.DefaultTimeout();
    }

    [Fact]
    public async Task TheServersDeviceIsLostInTheMiddleOfACopy_TheBufferIsNeverFreed_ForItMayStillWrite()
    {
        var gate = new TaskCompletionSource();
        _servers.Running = _ => gate.Task;
        _models.Add("m", Length);
        await StartAsync(new SimulatedDeviceSet(_servers));
        using var handle = await OpenAsync("m");
        var copying = handle.CopyToDeviceAsync(_clients).AsTask();
        await TestTimeouts.UntilAsync(() => _servers.PendingOperations > 0);

        _servers.Lose();

        var failure = await copying.Awaiting(copy => copy.DefaultTimeout()).Should().ThrowAsync<ModelStoreException>();
        failure.Which.Fault.Should().Be(ModelStoreFault.DeviceFailed);
        _clients.LiveBuffers.Should().Be(1);
    }

    [Fact]
    public async Task AReplica_IsWrittenAndConfirmed_AndWhatIsWrongHasACodeThatSaysSo()
    {
        var data = _models.Add("m", Length);
        var replicas = (await StartAsync(new SimulatedDeviceSet(_servers))).Replicas!;
        using var buffer = _clients.Allocate(Length);
        var request = Request(buffer.Export(), new ReplicaChunk(0, Length, 0, 0));

        await replicas.StartAsync(request, default).DefaultTimeout();
        await replicas.ConfirmAsync("m", "r", default).DefaultTimeout();

        Bytes(buffer.Address, Length).AsSpan().SequenceEqual(data).Should().BeTrue();
        var twice = await replicas.Awaiting(store => store.StartAsync(request, default).DefaultTimeout()).Should().ThrowAsync<PoolFaultException>();
        twice.Which.Code.Should().Be(PoolFaultCode.AlreadyExists);
        var beyond = Request(buffer.Export(), new ReplicaChunk(0, Length + 1, 0, 0)) with { Replica = "s" };
        await replicas.Awaiting(store => store.StartAsync(beyond, default).DefaultTimeout()).Should().ThrowAsync<ArgumentException>();
        await replicas.Awaiting(store => store.ConfirmAsync("m", "s", default).DefaultTimeout()).Should().ThrowAsync<ModelStoreException>();
        _servers.LiveBuffers.Should().Be(0);
    }

    [Fact]
    public async Task AReplicaWithoutADevice_IsAFailedPreconditionWithTheReason()
    {
        _models.Add("m", Length);
        var replicas = (await StartAsync(SimulatedDeviceSet.None("The driver is missing: install it."))).Replicas!;

        var fault = (await replicas.Awaiting(store => store.StartAsync(Request(new byte[64], new ReplicaChunk(0, 1, 0, 0)), default).DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>()).Which;

        fault.Code.Should().Be(PoolFaultCode.FailedPrecondition);
        fault.Message.Should().Contain("The driver is missing: install it.");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var provider in _providers.AsEnumerable().Reverse())
        {
            await provider.DisposeAsync().DefaultTimeout();
        }

        _folder.Dispose();
        _models.Dispose();
    }

    private static unsafe byte[] Bytes(nint address, long length) => new ReadOnlySpan<byte>((void*)address, checked((int)length)).ToArray();

    private static byte[] Bytes(DeviceTensor tensor) => Bytes(tensor.Address, tensor.Info.LengthBytes);

    private static byte[] First(ModelHandle handle) => Bytes(handle.Address, 1000);

    private ReplicaRequest Request(byte[] handle, ReplicaChunk chunk) => new(
        "m",
        "r",
        new Dictionary<string, IReadOnlyList<ReplicaChunk>> { [_servers.Uuid] = [chunk] },
        new Dictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> { [_servers.Uuid] = [handle] });

    private async Task<IModelService> StartAsync(IDeviceSet devices)
    {
        var factory = new Factory(new ModelServiceFactory(new ModelCatalogSettings { StoragePath = _models.Path }, NullLoggerFactory.Instance, devices: devices));
        var services = new ServiceCollection();
        services.AddSingleton(devices);
        services.AddSingleton<IModelServiceFactory>(factory);
        services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.QuarantineTime) = (64 << 20, 4 << 20, TimeSpan.Zero);
            o.EndPoints.Add($"pipe://{_folder.Socket}");
        });
        var provider = services.BuildServiceProvider();
        _providers.Add(provider);
        await provider.GetRequiredService<PoolServer>().StartAsync(default).DefaultTimeout();
        return factory.Made!;
    }

    private async Task<ModelHandle> OpenAsync(string model, TimeProvider? time = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton(time ?? TimeProvider.System);
        services.AddServerModelStore(o => o.EndPoint = $"pipe://{_folder.Socket}");
        var provider = services.BuildServiceProvider();
        _providers.Add(provider);
        return await provider.GetRequiredService<IModelStore>().OpenAsync(model).DefaultTimeout();
    }

    private sealed class Factory(IModelServiceFactory inner) : IModelServiceFactory
    {
        public IModelService? Made { get; private set; }

        public IModelService Create(Transport.Engine.PoolEngine engine) => Made = inner.Create(engine);
    }

    /// <summary>Real time, but for waits of a second from now on: those last until the test lets them pass.</summary>
    private sealed class HeldSecond : TimeProvider
    {
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private Action? _fire;

        public Task Asked => _asked.Task;

        public void Pass() => _fire!();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime != TimeSpan.FromSeconds(1))
            {
                return base.CreateTimer(callback, state, dueTime, period);
            }

            _fire = () => callback(state);
            _asked.TrySetResult();
            return base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, period);
        }
    }
}
