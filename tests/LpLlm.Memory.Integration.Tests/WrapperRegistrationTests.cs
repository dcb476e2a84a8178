using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests;

public class WrapperRegistrationTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task AddLimit_BoundsTheRegisteredPool()
    {
        using var host = TestHost.Build(services => services
            .AddLocalPinnedPool("kv", o => o.CapacityBytes = 4 * MiB).AddLimit(o => o.LimitBytes = MiB));
        await host.StartAsync().DefaultTimeout();
        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");

        pool.TryRent(MiB + 1, out _).Should().BeFalse();
        using var lease = pool.Rent(MiB);
        pool.GetSnapshot().CapacityBytes.Should().Be(MiB);
        pool.GetSnapshot().ReservedBytes.Should().Be(4 * MiB, "the pool under the limit was opened with the host");
    }

    [Fact]
    public async Task AddLimit_WatermarkCallback_IsCalled()
    {
        var risen = new TaskCompletionSource<WatermarkEvent>();
        using var host = TestHost.Build(services => services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB).AddLimit(o =>
        {
            o.LimitBytes = MiB;
            o.WatermarkBytes = MiB / 2;
            o.OnWatermark = crossing => risen.TrySetResult(crossing);
        }));
        await host.StartAsync().DefaultTimeout();

        using var lease = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv").Rent(MiB);

        (await risen.Task.DefaultTimeout()).Should().Be(new WatermarkEvent("kv", WatermarkKind.Risen, MiB / 2, MiB));
    }

    [Fact]
    public async Task AddLimit_OptionsOutOfRange_AreReportedTogetherAtHostStart()
    {
        using var host = TestHost.Build(services => services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB)
            .AddLimit(TestHost.Configuration(("LimitBytes", "1KiB"), ("WatermarkBytes", "2KiB"), ("FenceTimeout", "-00:00:01"))));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("Pool 'kv'").And.Contain("WatermarkBytes is 2048").And.Contain("FenceTimeout is -00:00:01");
    }

    [Fact]
    public void AddLimit_Twice_ThrowsAtTheSecondAdd()
    {
        var builder = new ServiceCollection().AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB).AddLimit(o => o.LimitBytes = 1);

        builder.Invoking(b => b.AddLimit(o => o.LimitBytes = 2)).Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'kv'");
        builder.AddStatistics().Invoking(b => b.AddStatistics()).Should().Throw<InvalidOperationException>();
        builder.Services.AddLocalPinnedPool("weights", o => o.CapacityBytes = MiB).Invoking(b => b.AddLimit(o => o.LimitBytes = 1).AddStatistics())
            .Should().NotThrow("it is another pool");
    }

    [Fact]
    public async Task AddStatistics_RegistersThemUnderThePoolsName()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool(o => o.CapacityBytes = MiB).AddLimit(o => o.LimitBytes = 1000).AddStatistics();
            services.AddLocalPinnedPool("kv", o => o.CapacityBytes = MiB).AddStatistics();
        });
        await host.StartAsync().DefaultTimeout();
        var pool = host.Services.GetRequiredService<IPinnedMemoryPool>();
        pool.Rent(600).Dispose();
        pool.Invoking(p => p.Rent(1001)).Should().Throw<PinnedMemoryExhaustedException>();

        var statistics = host.Services.GetRequiredService<IPoolStatistics>();

        statistics.Should().BeSameAs(host.Services.GetRequiredKeyedService<IPoolStatistics>("default"));
        statistics.GetStatistics().Should().Match<PoolStatistics>(s => s.RentedBytes == 600 && s.Rent.Count == 1 && s.FailedByLimit == 1);
        host.Services.GetRequiredKeyedService<IPoolStatistics>("kv").GetStatistics().Rent.Count.Should().Be(0);
    }

    [Fact]
    public async Task AddStatistics_HostWithMetrics_UsesItsFactoryAsScope()
    {
        using var probe = new MetricProbe("LpLlm.Memory", "scoped");
        using (var host = TestHost.Build(services =>
            services.AddMetrics().AddLocalPinnedPool("scoped", o => o.CapacityBytes = MiB).AddStatistics()))
        {
            await host.StartAsync().DefaultTimeout();
            probe.Collect();
            probe.Last["lpllm.pool.limit[By]"].Should().Be(MiB);
        }

        probe.Collect();
        probe.Last.Should().BeEmpty("the host is gone, and its instruments with it");
    }

    [Fact]
    public async Task AddPinnedMemoryPool_WrappersBesideKind_AreAddedInsideOut()
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool("kv", TestHost.Configuration(
            ("Statistics", "true"), ("Kind", "Local"), ("Local:CapacityBytes", "4MiB"), ("limit:LimitBytes", "1MiB"), ("Limit:WatermarkBytes", "512KiB"))));
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv").TryRent(2 * MiB, out _).Should().BeFalse();

        host.Services.GetRequiredKeyedService<IPoolStatistics>("kv").GetStatistics().RefusedTryRents
            .Should().Be(1, "statistics stand outside of the limit, whatever the order in the file");
    }

    [Fact]
    public async Task AddPinnedMemoryPool_StatisticsFalse_AddsNone()
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool(TestHost.Configuration(
            ("Statistics", "false"), ("Kind", "Local"), ("Local:CapacityBytes", "4MiB"))));
        await host.StartAsync().DefaultTimeout();

        host.Services.GetService<IPoolStatistics>().Should().BeNull();
    }

    [Fact]
    public void AddPinnedMemoryPool_StatisticsNotASwitch_IsRefusedWithPathAndValue() => new ServiceCollection()
        .Invoking(s => s.AddPinnedMemoryPool(TestHost.Configuration(("Statistics", "maybe"), ("Kind", "Local"), ("Local:CapacityBytes", "4MiB"))))
        .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("Statistics is 'maybe'").And.Contain("true or false");

    [Fact]
    public async Task AddPinnedMemoryPool_EmptyLimit_IsReportedNotIgnored()
    {
        using var host = TestHost.Build(services => services.AddPinnedMemoryPool(TestHost.Configuration(
            ("Limit", ""), ("Kind", "Local"), ("Local:CapacityBytes", "4MiB"))));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("LimitBytes is 0");
    }
}
