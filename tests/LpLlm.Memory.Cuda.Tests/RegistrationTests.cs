using LpLlm.Memory.Cuda.Driver;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Cuda;

public sealed class RegistrationTests
{
    private const long PoolBytes = 4L << 20;

    public static TheoryData<int, string> Absences => new()
    {
        { CudaError.NoDevice, "CUDA_VISIBLE_DEVICES" },
        { CudaError.StubLibrary, "stub" },
        { CudaError.SystemDriverMismatch, "fabric manager" },
    };

    [Theory]
    [MemberData(nameof(Absences))]
    public async Task AddCudaHostMemory_TheDriverHasNone_PoolsTakeMlockAndOneWarningSaysWhy(int code, string remedy)
    {
        var driver = new SimulatedCudaDriver();
        driver.Failures["cuInit"] = code;
        var logs = new CollectingLogger();
        await using var provider = Build(driver, logs);

        foreach (var name in new[] { "a", "b" })
        {
            using var lease = provider.GetRequiredKeyedService<IPinnedMemoryPool>(name).Rent(1);
            lease.Capabilities.Should().NotHaveFlag(PoolCapabilities.DeviceVisible);
        }

        var devices = provider.GetRequiredService<IDeviceSet>();
        devices.Devices.Should().BeEmpty();
        devices.UnavailableReason.Should().StartWith("CudaUnavailable: ").And.Contain(remedy);
        logs.Entries.Where(entry => entry.Id == 3000).Should().ContainSingle().Which.Level.Should().Be(LogLevel.Warning);
        provider.GetService<IHostPinner>().Should().BeNull();
    }

    [SkippableFact]
    public void UnavailableReason_NoLibraryOnThisMachine_SaysWhatToInstall()
    {
        Skip.If(CudaRuntime.Shared.UnavailableReason is null, "This machine has a driver and a device.");

        var runtime = new CudaRuntime(new LibCuda());

        runtime.Devices.Should().BeEmpty();
        runtime.UnavailableReason.Should().StartWith("CudaUnavailable: ").And.EndWith(".");
    }

    [Fact]
    public void UnavailableReason_NoDevices_IsGiven()
    {
        var runtime = new CudaRuntime(new SimulatedCudaDriver(deviceCount: 0));

        runtime.UnavailableReason.Should().Contain("no device");
    }

    [Fact]
    public async Task AddCudaHostMemory_ADeviceIsThere_PoolsAreRegistered()
    {
        var driver = new SimulatedCudaDriver();
        await using var provider = Build(driver, new CollectingLogger());
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("a");
        using (var lease = pool.Rent(1))
        {
            lease.Capabilities.Should().HaveFlag(PoolCapabilities.DeviceVisible | PoolCapabilities.PageLocked);
            driver.Registered.Values.Sum().Should().BeGreaterThanOrEqualTo(PoolBytes);
            provider.GetRequiredService<IHostPinner>().Should().BeOfType<CudaHostPinner>()
                .Which.RegisteredBytes.Should().Be(driver.Registered.Values.Sum());
        }

        await pool.DisposeAsync();
        driver.Registered.Should().BeEmpty("what is unmapped is unregistered before");
    }

    [Fact]
    public async Task AddCudaHostMemory_Lazy_RegistersWhatACopyUses()
    {
        var driver = new SimulatedCudaDriver();
        await using var provider = Build(driver, new CollectingLogger(), options => options.Registration = HostRegistration.Lazy);
        var device = provider.GetRequiredService<IDeviceSet>().Devices[0];
        using var lease = provider.GetRequiredKeyedService<IPinnedMemoryPool>("a").Rent(4096);
        driver.Registered.Should().BeEmpty();
        lease.Capabilities.Should().HaveFlag(PoolCapabilities.DeviceVisible);

        using var stream = device.CreateStream();
        using var buffer = device.Allocate(4096);
        await lease.CopyToDeviceAsync(stream, buffer).DefaultTimeout();

        driver.Registered.Should().ContainSingle();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3 << 20)]
    [InlineData(2L << 30)]
    public async Task AddCudaHostMemory_SliceOutOfRange_IsAnOptionsError(long sliceBytes)
    {
        await using var provider = Build(new SimulatedCudaDriver(), new CollectingLogger(), options => options.SliceBytes = sliceBytes);

        provider.Invoking(each => each.GetService<IHostPinner>()).Should().Throw<OptionsValidationException>()
            .WithMessage($"*SliceBytes is {sliceBytes}*");
    }

    [Fact]
    public async Task RegisteredMemory_IsAMetric()
    {
        await using var provider = Build(new SimulatedCudaDriver(), new CollectingLogger());
        using var lease = provider.GetRequiredKeyedService<IPinnedMemoryPool>("a").Rent(1);
        var registered = 0L;
        using var listener = new System.Diagnostics.Metrics.MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name == "lpllm.cuda.registered_memory")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => registered = Math.Max(registered, value));
        listener.Start();

        listener.RecordObservableInstruments();

        registered.Should().BeGreaterThanOrEqualTo(PoolBytes);
    }

    private static ServiceProvider Build(
        SimulatedCudaDriver driver, CollectingLogger logs, Action<CudaHostMemoryOptions>? configure = null)
    {
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddProvider(new CollectingLoggerProvider(logs)));
        services.AddSingleton(new CudaRuntime(driver));
        services.AddCudaHostMemory(configure);
        foreach (var name in new[] { "a", "b" })
        {
            services.AddLocalPinnedPool(
                name, options => (options.CapacityBytes, options.InitialBytes, options.AllowPageable) = (PoolBytes, PoolBytes, true));
        }

        return services.BuildServiceProvider();
    }
}
