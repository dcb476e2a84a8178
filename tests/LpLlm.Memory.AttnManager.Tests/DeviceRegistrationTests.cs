using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Attention.Tests;

/// <summary>The option <c>Device</c>, and what is said at start when it leads nowhere.</summary>
public class DeviceRegistrationTests
{
    private readonly SimulatedDevice _device = new("cuda:1");
    private readonly ServiceCollection _services = new();

    public DeviceRegistrationTests() => _services.AddSingleton<IPinnedMemoryPool>(new FakePool());

    [Theory]
    [InlineData("cuda:1")]
    [InlineData("CUDA:1")]
    [InlineData("uuid")]
    public async Task Device_OfTheSet_IsTheManagers(string name)
    {
        _services.AddSingleton<IDeviceSet>(new SimulatedDeviceSet(new SimulatedDevice(), _device));
        Add(name == "uuid" ? _device.Uuid : name);
        await using var provider = _services.BuildServiceProvider();

        var manager = provider.GetRequiredService<IAttnManager>();

        manager.Device.Should().BeSameAs(_device);
        _device.LiveStreams.Should().Be(2);
        await manager.DisposeAsync();
        _device.LiveStreams.Should().Be(0);
    }

    [Fact]
    public void Device_Cpu_DoesNotAskTheDriver()
    {
        _services.AddSingleton<IDeviceSet, UntouchableSet>();
        Add("cpu");
        using var provider = _services.BuildServiceProvider();

        provider.GetRequiredService<IAttnManager>().Device.Should().BeNull();
    }

    [Fact]
    public void Device_NoDriverRegistered_SaysSoAtStart()
    {
        Add("cuda:0");

        ShouldFailAtStart("Device = 'cuda:0' needs a driver, and none is registered; register one (an IDeviceSet), or set cpu.");
    }

    [Fact]
    public void Device_DriverHasNone_GivesTheDriversReason()
    {
        _services.AddSingleton<IDeviceSet>(SimulatedDeviceSet.None("libcuda.so.1 was not found; install the driver."));
        Add("cuda:0");

        ShouldFailAtStart("Device = 'cuda:0' is not here: libcuda.so.1 was not found; install the driver.");
    }

    [Fact]
    public void Device_Unknown_ListsWhatThereIs()
    {
        _services.AddSingleton<IDeviceSet>(new SimulatedDeviceSet(new SimulatedDevice(), _device));
        Add("cuda:7");

        ShouldFailAtStart("Device = 'cuda:7' is not here; there are cpu, cuda:0, cuda:1.");
    }

    [Fact]
    public void Device_Empty_SaysWhatIsExpected()
    {
        Add(" ");

        ShouldFailAtStart("Device = ' ' is empty; cpu or the name of a device is expected.");
    }

    [Theory]
    [InlineData(PoolCapabilities.None, 1)]
    [InlineData(PoolCapabilities.DeviceVisible, 0)]
    public async Task Device_PoolNotRegisteredWithADriver_IsAWarning(PoolCapabilities capabilities, int warnings)
    {
        var log = new RecordingLogger();
        _services.AddSingleton<IPinnedMemoryPool>(new FakePool("kv", capabilities: capabilities));
        _services.AddSingleton<ILogger<AttnManager>>(log);
        _services.AddSingleton<IDeviceSet>(new SimulatedDeviceSet(_device));
        Add("cuda:1");
        await using var provider = _services.BuildServiceProvider();

        provider.GetRequiredService<IAttnManager>();

        log.Messages.Count(line => line.Contains("are copied from and to pool 'kv'", StringComparison.Ordinal)).Should().Be(warnings);
    }

    private void Add(string device) => _services.AddAttnManager(options => (options.Device, options.UseServerPool) = (device, false));

    private void ShouldFailAtStart(string message)
    {
        using var provider = _services.BuildServiceProvider();
        FluentActions.Invoking(provider.GetRequiredService<IStartupValidator>().Validate).Should().Throw<OptionsValidationException>()
            .WithMessage(message);
    }

    private sealed class UntouchableSet : IDeviceSet
    {
        public IReadOnlyList<IMemoryDevice> Devices => throw new InvalidOperationException("Nobody may load a driver.");

        public string? UnavailableReason => throw new InvalidOperationException("Nobody may load a driver.");
    }
}
