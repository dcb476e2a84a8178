using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests;

/// <summary>Faults of the system this library replaces, by their IDs, where configuration and host start come in.</summary>
public class OriginalFaultTests
{
    [Fact]
    public async Task S1_InitialBytes_AreThereAndPinnedWhenTheHostHasStarted()
    {
        var pinner = new FakePinner();
        using var host = TestHost.Build(
            services => services.AddPinnedMemoryPool(TestHost.Configuration(
                ("Kind", "Local"), ("Local:CapacityBytes", "16MiB"), ("Local:InitialBytes", "16MiB"), ("Local:SlabBytes", "8MiB"))),
            pinner: pinner);
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot().ReservedBytes.Should().Be(16 << 20);
        pinner.Pinned.Values.Sum().Should().Be(16 << 20);
    }

    [Theory]
    [InlineData("Local:CapacityBytes", "2GiB", 2L << 30)]
    [InlineData("Local:CapacityBytes", "2147483648", 2L << 30)]
    [InlineData("Local:CapacityBytes", "20480MB", 20L << 30)]
    public void S2_C10_Sizes_AreBytesUnlessTheySayTheirUnit(string key, string text, long bytes)
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool(
            TestHost.Configuration(("Kind", "Local"), (key, text), ("Local:InitialBytes", "0"))));

        host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot().CapacityBytes.Should().Be(bytes);
    }
}
