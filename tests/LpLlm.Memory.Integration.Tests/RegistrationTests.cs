using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests;

public class RegistrationTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task AddLocalPinnedPool_Unnamed_ResolvesWithAndWithoutKey()
    {
        using var host = TestHost.Build(services => services.AddLocalPinnedPool(o => o.CapacityBytes = 4 * MiB));
        await host.StartAsync().DefaultTimeout();

        var pool = host.Services.GetRequiredService<IPinnedMemoryPool>();

        pool.Should().BeSameAs(host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("default"));
        pool.Name.Should().Be("default");
        using var lease = pool.Rent(1000);
        lease.Capabilities.Should().HaveFlag(PoolCapabilities.PageLocked);
    }

    [Fact]
    public async Task AddLocalPinnedPool_Named_AreApart()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool("kv", o => o.CapacityBytes = 4 * MiB).Name.Should().Be("kv");
            services.AddLocalPinnedPool("weights", o => o.CapacityBytes = 8 * MiB);
            services.AddSingleton<KeyedConsumer>();
        });
        await host.StartAsync().DefaultTimeout();

        var consumer = host.Services.GetRequiredService<KeyedConsumer>();

        consumer.Kv.GetSnapshot().CapacityBytes.Should().Be(4 * MiB);
        consumer.Weights.GetSnapshot().CapacityBytes.Should().Be(8 * MiB);
        host.Services.GetService<IPinnedMemoryPool>().Should().BeNull("no pool is the default one");
    }

    [Fact]
    public void Trap2_SameNameTwice_ThrowsAtTheSecondAdd()
    {
        var services = new ServiceCollection();
        services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB);

        services.Invoking(s => s.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB))
            .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'kv'");
        services.Invoking(s => s.AddPinnedMemoryPool("kv", TestHost.Configuration(("Kind", "Local"))))
            .Should().Throw<InvalidOperationException>();
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("ä")]
    [InlineData("a/b")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123x")]
    public void Add_MalformedName_Throws(string name) => new ServiceCollection()
        .Invoking(s => s.AddLocalPinnedPool(name, o => o.CapacityBytes = MiB))
        .Should().Throw<ArgumentException>().Which.Message.Should().Contain($"'{name}'");

    [Fact]
    public async Task Trap3_PoolsAreOpenedAtHostStart_InOrderOfRegistration()
    {
        var logger = new CollectingLogger();
        using var host = TestHost.Build(
            services =>
            {
                services.AddLocalPinnedPool("second-name-first", o => o.CapacityBytes = 4 * MiB);
                services.AddLocalPinnedPool("a", o => o.CapacityBytes = 4 * MiB);
            },
            logger);

        await host.StartAsync().DefaultTimeout();

        logger.Entries.Where(entry => entry.Id == 1101).Select(entry => entry.Message.Split('\'')[1])
            .Should().Equal("second-name-first", "a");
        host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("a").GetSnapshot().ReservedBytes.Should().Be(4 * MiB);
    }

    [Fact]
    public async Task HostStart_MemoryRefused_FailsThereNamingTheCall()
    {
        var pinner = new FakePinner();
        pinner.FailingPins.Add(1);
        using var host = TestHost.Build(services => services.AddLocalPinnedPool(o => o.CapacityBytes = 4 * MiB), pinner: pinner);

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<MemorySourceException>())
            .Which.Message.Should().Contain("fakelock of 4194304 B").And.Contain("ENOMEM").And.Contain("8388608");
    }

    [Fact]
    public void Trap4_ContainerDisposesTheInstanceTwice_IsHarmless()
    {
        var provider = Provider(services => services.AddLocalPinnedPool(o => o.CapacityBytes = MiB));
        var pool = provider.GetRequiredService<IPinnedMemoryPool>();
        provider.GetRequiredKeyedService<IPinnedMemoryPool>("default").Rent(1000).Dispose();

        provider.Invoking(p => p.Dispose()).Should().NotThrow();

        pool.Invoking(p => p.Rent(1)).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public async Task Trap5_ContainerDisposesSynchronouslyAndAsynchronously()
    {
        var sync = Provider(services => services.AddLocalPinnedPool(o => o.CapacityBytes = MiB));
        var async = Provider(services => services.AddLocalPinnedPool(o => o.CapacityBytes = MiB));
        sync.GetRequiredService<IPinnedMemoryPool>().Rent(1).Dispose();
        async.GetRequiredService<IPinnedMemoryPool>().Rent(1).Dispose();

        sync.Invoking(p => p.Dispose()).Should().NotThrow();
        await async.Awaiting(p => p.DisposeAsync().AsTask().DefaultTimeout()).Should().NotThrowAsync();
    }

    private static ServiceProvider Provider(Action<IServiceCollection> register)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IHostPinner>(new FakePinner());
        register(services);
        return services.BuildServiceProvider();
    }

    private sealed class KeyedConsumer(
        [FromKeyedServices("kv")] IPinnedMemoryPool kv, [FromKeyedServices("weights")] IPinnedMemoryPool weights)
    {
        public IPinnedMemoryPool Kv => kv;

        public IPinnedMemoryPool Weights => weights;
    }
}
