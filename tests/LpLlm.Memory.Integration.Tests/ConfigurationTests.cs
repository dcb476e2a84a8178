using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests;

public class ConfigurationTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task AddPinnedMemoryPool_KindLocal_BindsEverything()
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool(TestHost.Configuration(
            ("Kind", "local"),
            ("Local:CapacityBytes", "16MiB"),
            ("Local:SlabBytes", "4194304"),
            ("Local:InitialBytes", "8MB"),
            ("Local:AllowPageable", "true"),
            ("Local:HugePages", "never"),
            ("Local:HugePageBytes", "1GiB"),
            ("Local:Shared", "true"),
            ("Local:NumaNode", "0"),
            ("Local:RentTimeout", "00:00:07"),
            ("Local:DisposeTimeout", "00:00:01"))));
        await host.StartAsync().DefaultTimeout();

        var options = host.Services.GetRequiredService<IOptionsMonitor<LocalPinnedPoolOptions>>().Get("default");
        options.RentTimeout.Should().Be(TimeSpan.FromSeconds(7));
        options.HugePages.Should().Be(HugePageMode.Never);
        options.HugePageBytes.Should().Be(1 << 30);
        options.Shared.Should().BeTrue();
        options.NumaNode.Should().Be(0);
        options.AllowPageable.Should().BeTrue();
        var snapshot = host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot();
        snapshot.CapacityBytes.Should().Be(16 * MiB);
        snapshot.ReservedBytes.Should().Be(8 * MiB);
        snapshot.LargestFreeBytes.Should().Be(4 * MiB);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("Nonsense")]
    public void AddPinnedMemoryPool_UnknownKind_ListsTheRegisteredOnes(string? kind) => new ServiceCollection()
        .Invoking(s => s.AddPinnedMemoryPool(TestHost.Configuration(("Kind", kind), ("Local:CapacityBytes", "1MiB"))))
        .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("Local").And.Contain(kind ?? "missing");

    [Fact]
    public void AddPinnedMemoryPool_UnknownKeyBesideKind_IsRefused() => new ServiceCollection()
        .Invoking(s => s.AddPinnedMemoryPool(TestHost.Configuration(("Kind", "Local"), ("Locl:CapacityBytes", "1MiB"))))
        .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("Locl");

    [Fact]
    public async Task Trap1_MisspeltAndMalformedKeys_AreReportedTogetherByPath()
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool(TestHost.Configuration(
            ("Kind", "Local"), ("Local:CapacityByte", "1MiB"), ("Local:SlabBytes", "2GX"), ("Local:AllowPageable", "maybe"))));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("Local:CapacityByte").And.Contain("Local:SlabBytes = '2GX'").And.Contain("2GiB")
            .And.Contain("Local:AllowPageable = 'maybe'");
    }

    [Fact]
    public async Task HostStart_OptionsOutOfRange_AreReportedTogetherWithNameAndValue()
    {
        using var host = TestHost.Build(services => services.AddLocalPinnedPool("kv", o =>
        {
            o.CapacityBytes = -5;
            o.SlabBytes = 100;
            o.RentTimeout = TimeSpan.Zero;
        }));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("Pool 'kv'").And.Contain("CapacityBytes is -5").And.Contain("SlabBytes is 100")
            .And.Contain("RentTimeout is 00:00:00");
    }

    [Fact]
    public void NoHost_OptionsOutOfRange_FailAtTheFirstResolve()
    {
        var services = new ServiceCollection();
        services.AddLocalPinnedPool(o => o.CapacityBytes = 0);
        using var provider = services.BuildServiceProvider();

        provider.Invoking(p => p.GetRequiredService<IPinnedMemoryPool>()).Should().Throw<OptionsValidationException>()
            .Which.Message.Should().Contain("CapacityBytes is 0");
    }
}
