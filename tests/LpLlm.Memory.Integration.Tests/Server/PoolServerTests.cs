using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests.Server;

/// <summary>The server in a host: order of start, order of stop, and what a start that fails leaves behind.</summary>
public sealed class PoolServerTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly PoolHosts _hosts = new();

    public void Dispose() => _hosts.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task S1_HostStart_InEitherOrder_TheLeaseIsThere(bool serverFirst)
    {
        var logger = new CollectingLogger();
        using var host = TestHost.Build(
            services =>
            {
                Action<IServiceCollection>[] order = [AddEmbeddedServer, services => AddPool(services, "kv")];
                foreach (var add in serverFirst ? order : order.Reverse())
                {
                    add(services);
                }
            },
            logger);

        await host.StartAsync().DefaultTimeout();

        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        pool.GetSnapshot().ReservedBytes.Should().Be(8 * MiB);
        pool.Capabilities.Should().HaveFlag(PoolCapabilities.Shared | PoolCapabilities.PageLocked);
        var engine = host.Services.GetRequiredService<PoolServer>().Engine!;
        engine.GetStatistics().LeasedBytes.Should().Be(8 * MiB);
        engine.List().Should().ContainSingle().Which.Owner.ClientName.Should().EndWith("/kv");
        logger.Entries.Count(entry => entry.Id == 1110).Should().Be(1, "the server starts once");
        logger.Entries.Should().Contain(entry => entry.Id == 1101);
    }

    [Fact]
    public void Pool_WithoutAHost_StartsTheServerAtTheFirstRent()
    {
        var provider = _hosts.Build(services =>
        {
            AddEmbeddedServer(services);
            AddPool(services, "kv");
        });
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        provider.GetRequiredService<PoolServer>().Engine.Should().BeNull("nobody has needed it yet");

        using var lease = pool.Rent(1000);

        lease.AsSpan<byte>().Fill(1);
        provider.GetRequiredService<PoolServer>().Engine!.GetStatistics().Leases.Should().Be(1);
    }

    [Fact]
    public async Task Stop_LeasesOfThisProcess_AreUsableUntilTheContainerIsDisposed()
    {
        var host = TestHost.Build(services =>
        {
            AddEmbeddedServer(services);
            AddPool(services, "kv");
        });
        await host.StartAsync().DefaultTimeout();
        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        var lease = pool.Rent(MiB);

        await host.StopAsync().DefaultTimeout();
        lease.AsSpan<byte>().Fill(7);
        using (var other = pool.Rent(MiB))
        {
            other.AsSpan<byte>().Fill(8);
        }

        lease.AsSpan<byte>().IndexOfAnyExcept((byte)7).Should().Be(-1);
        lease.Dispose();
        var engine = host.Services.GetRequiredService<PoolServer>().Engine!;
        host.Dispose();
        engine.GetStatistics().Leases.Should().Be(0, "the pool let go before the engine did");
    }

    [Fact]
    public async Task HostStart_EmbeddedWithoutAServer_FailsNamingBothWaysOut()
    {
        using var host = TestHost.Build(services => AddPool(services, "kv"));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("'kv'").And.Contain("AddPoolServer");
    }

    [Theory]
    [InlineData("http://127.0.0.1:80")]
    [InlineData("grpc://127.0.0.1:8073")]
    public async Task HostStart_UnknownScheme_FailsNamingTheSchemesAndThePackage(string endPoint)
    {
        using var host = TestHost.Build(services => services.AddServerPinnedPool(
            "kv", o => (o.EndPoint, o.CapacityBytes) = (endPoint, 8 * MiB)));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain(endPoint).And.Contain("'pipe'").And.Contain("AddGrpcPoolTransport");
    }

    [Fact]
    public async Task HostStart_AnEndPointThatCannotBeBound_KeepsNothing()
    {
        using var host = TestHost.Build(services => services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (16 * MiB, 4 * MiB, 16 * MiB);
            o.EndPoints.Add("http://127.0.0.1:80");
        }));

        await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>();

        var server = host.Services.GetRequiredService<PoolServer>();
        (server.Engine, server.EndPoints.Count).Should().Be((null, 0));
        await FluentActions.Awaiting(() => host.Services.GetServices<PoolTransport>().Single(transport => transport.Scheme == "loopback")
            .ConnectAsync(PoolEndPoint.EmbeddedUri, default).AsTask().DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
    }

    [Fact]
    public async Task Row26_HostStart_MoreWarmMemoryThanThereIs_IsRefused()
    {
        using var host = TestHost.Build(services => services.AddPoolServer(o =>
        {
            (o.CapacityBytes, o.SegmentBytes, o.WarmBytes) = (1L << 50, 1L << 40, 1L << 40);
            o.EndPoints.Add("embedded");
        }));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>())
            .Which.Operation.Should().Be("preflight");
    }

    [Fact]
    public async Task AddPinnedMemoryPool_KindServer_IsTheServerPool()
    {
        using var host = TestHost.Build(services =>
        {
            AddEmbeddedServer(services);
            services.AddPinnedMemoryPool(TestHost.Configuration(
                ("Kind", "Server"), ("Server:EndPoint", "embedded"), ("Server:CapacityBytes", "8MiB"), ("Statistics", "true")));
        });
        await host.StartAsync().DefaultTimeout();

        using var lease = host.Services.GetRequiredService<IPinnedMemoryPool>().Rent(1000);

        lease.Capabilities.Should().HaveFlag(PoolCapabilities.Shared);
        host.Services.GetRequiredService<IPoolStatistics>().GetStatistics().Should().NotBeNull();
    }

    private static void AddEmbeddedServer(IServiceCollection services) => services.AddPoolServer(o =>
    {
        (o.CapacityBytes, o.SegmentBytes) = (32 * MiB, 4 * MiB);
        o.EndPoints.Add("embedded");
    });

    private static void AddPool(IServiceCollection services, string name) => services.AddServerPinnedPool(
        name, o => (o.EndPoint, o.CapacityBytes) = ("embedded", 8 * MiB));
}
