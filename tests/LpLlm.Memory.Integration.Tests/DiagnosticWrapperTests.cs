using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests;

public sealed class DiagnosticWrapperTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"trace-{Guid.NewGuid():N}.csv");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public async Task AddTracing_TracesThePool()
    {
        using (var host = TestHost.Build(services => services.AddLocalPinnedPool(o => o.CapacityBytes = 4 * MiB).AddTracing(o => o.Path = _path)))
        {
            await host.StartAsync().DefaultTimeout();
            host.Services.GetRequiredService<IPinnedMemoryPool>().Rent(1000).Dispose();
        }

        File.ReadAllLines(_path).Select(line => line.Split(',')[3]).Should().Equal("op", "rent", "return", "end");
    }

    [Fact]
    public async Task AddTracing_BadOptions_FailTheHostStartNamingTheValues()
    {
        using var host = TestHost.Build(services => services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB).AddTracing(o => o.MaxBytes = 1));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("Pool 'kv'").And.Contain("Path is ''").And.Contain("MaxBytes is 1");
    }

    [Fact]
    public async Task AddTracing_PathThatCannotBe_FailsTheHostStart()
    {
        using var host = TestHost.Build(services => services.AddLocalPinnedPool(o => o.CapacityBytes = MiB).AddTracing(o => o.Path = "/nowhere/t.csv"));

        await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<TraceException>();
    }

    [Fact]
    public async Task AddLeakDetection_IsAKeyedService_AndWorksBelowTracing()
    {
        using (var host = TestHost.Build(services => services.AddLocalPinnedPool("kv", o => o.CapacityBytes = 4 * MiB)
            .AddLeakDetection().AddTracing(o => o.Path = _path)))
        {
            await host.StartAsync().DefaultTimeout();
            var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
            var detector = host.Services.GetRequiredKeyedService<ILeakDetector>("kv");
            var lease = pool.Rent(1000);

            detector.GetLiveLeases().Should().ContainSingle().Which.RentedAt.Should().Contain(nameof(AddLeakDetection_IsAKeyedService_AndWorksBelowTracing));
            lease.Dispose();
            lease.Dispose();

            detector.GetLiveLeases().Should().BeEmpty();
            detector.GetFaults().Should().ContainSingle("the outer wrapper passes the second return on")
                .Which.Kind.Should().Be(LeaseFaultKind.DoubleReturn);
        }

        File.ReadAllLines(_path).Should().HaveCount(4);
    }

    [Fact]
    public async Task AddLeakDetection_DefaultPool_IsAServiceWithoutAKeyToo()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool("kv", o => o.CapacityBytes = 4 * MiB).AddLeakDetection();
            services.AddLocalPinnedPool(o => o.CapacityBytes = 4 * MiB).AddLeakDetection();
        });
        await host.StartAsync().DefaultTimeout();

        using var lease = host.Services.GetRequiredService<IPinnedMemoryPool>().Rent(1000);

        host.Services.GetRequiredService<ILeakDetector>().GetLiveLeases().Should().ContainSingle().Which.LengthBytes.Should().Be(1000);
        host.Services.GetRequiredKeyedService<ILeakDetector>("kv").GetLiveLeases().Should().BeEmpty();
    }

    [Fact]
    public void Configuration_BindsTheOptions()
    {
        var services = new ServiceCollection();
        services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB)
            .AddTracing(TestHost.Configuration(("Path", "a.csv"), ("MaxBytes", "2MiB"), ("BufferedEventCount", "2048")))
            .AddLeakDetection(TestHost.Configuration(
                ("CaptureStacks", "false"), ("GuardBytes", "1KiB"), ("PoisonOnReturn", "false"), ("QuarantineBytes", "1MiB")));
        using var provider = services.BuildServiceProvider();

        provider.GetRequiredService<IOptionsMonitor<TracingOptions>>().Get("kv")
            .Should().BeEquivalentTo(new TracingOptions { Path = "a.csv", MaxBytes = 2 * MiB, BufferedEventCount = 2048 });
        provider.GetRequiredService<IOptionsMonitor<LeakDetectionOptions>>().Get("kv")
            .Should().BeEquivalentTo(new LeakDetectionOptions { CaptureStacks = false, GuardBytes = 1024, PoisonOnReturn = false, QuarantineBytes = MiB });
    }

    [Fact]
    public void Configuration_UnknownKeyOrBadValue_IsAnError()
    {
        var services = new ServiceCollection();
        services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB)
            .AddLeakDetection(TestHost.Configuration(("GuardByte", "1KiB"), ("QuarantineBytes", "lots")));
        using var provider = services.BuildServiceProvider();

        provider.Invoking(p => p.GetRequiredKeyedService<IPinnedMemoryPool>("kv")).Should().Throw<OptionsValidationException>()
            .Which.Message.Should().Contain("GuardByte ").And.Contain("'lots'");
    }

    [Fact]
    public void SameWrapperTwice_IsRefused_OtherPoolsAreFree()
    {
        var services = new ServiceCollection();
        var kv = services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB).AddTracing(o => o.Path = _path).AddLeakDetection();

        kv.Invoking(b => b.AddTracing(o => o.Path = _path)).Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'kv'");
        kv.Invoking(b => b.AddLeakDetection()).Should().Throw<InvalidOperationException>();
        services.AddLocalPinnedPool("weights", o => o.CapacityBytes = MiB).AddLeakDetection();
    }
}
