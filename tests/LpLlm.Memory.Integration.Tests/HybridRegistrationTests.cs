using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Tests;

public class HybridRegistrationTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task AddPinnedMemoryPool_KindHybrid_BindsListsOfObjectsAndChainsPoolsRegisteredLater()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddPinnedMemoryPool("kv", TestHost.Configuration(
                ("Kind", "hybrid"),
                ("Hybrid:SizeClasses:0:BlockBytes", "64KiB"),
                ("Hybrid:SizeClasses:0:Blocks", "16"),
                ("Hybrid:SizeClasses:1:Shape:0", "16"),
                ("Hybrid:SizeClasses:1:Shape:1", "128"),
                ("Hybrid:SizeClasses:1:ElementBytes", "4"),
                ("Hybrid:SizeClasses:1:Blocks", "4"),
                ("Hybrid:Chain:0", "pages"),
                ("Hybrid:Chain:1", "local"),
                ("Hybrid:PageableFallbackBytes", "1MiB"),
                ("Hybrid:RetryInterval", "00:00:00.250"),
                ("Hybrid:FallBackOnExhaustion", "true"),
                ("Hybrid:RentTimeout", "00:00:07")));
            services.AddFixedBlockPinnedPool("pages", o => (o.BlockBytes, o.Blocks) = (MiB, 1));
            services.AddLocalPinnedPool("local", o => o.CapacityBytes = 4 * MiB);
        });
        await host.StartAsync().DefaultTimeout();

        var options = host.Services.GetRequiredService<IOptionsMonitor<HybridPinnedPoolOptions>>().Get("kv");
        (options.RetryInterval, options.RentTimeout).Should().Be((TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(7)));
        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        var hops = host.Services.GetRequiredKeyedService<IHybridPool>("kv");
        hops.GetHops().Select(hop => hop.PoolName).Should().Equal("kv-65536", "kv-8192", "pages", "local", "kv-pageable");
        var sizes = new[] { 64 << 10, 8192, MiB, 4 * MiB, MiB };
        var leases = sizes.Select(size => pool.Rent(size)).ToList();
        leases.Select(lease => (lease.PoolName, lease.Placement)).Should().Equal(
            ("kv-65536", LeasePlacement.SizeClass),
            ("kv-8192", LeasePlacement.SizeClass),
            ("pages", LeasePlacement.FirstChoice),
            ("local", LeasePlacement.Exhausted),
            ("kv-pageable", LeasePlacement.Exhausted));
        leases.ForEach(lease => lease.Dispose());
    }

    [Fact]
    public async Task HostStart_TakesTheSizeClassesMemory()
    {
        using var host = TestHost.Build(services => services.AddHybridPinnedPool(
            o => o.SizeClasses.Add(new HybridSizeClass { BlockBytes = 64 << 10, Blocks = 32 })));
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot().ReservedBytes.Should().Be(2 * MiB);
        host.Services.GetRequiredService<IHybridPool>().GetHops().Should().ContainSingle();
    }

    [Fact]
    public async Task HostStart_UnknownPoolInTheChain_ListsTheRegisteredOnes()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool("weights", o => o.CapacityBytes = MiB);
            services.AddHybridPinnedPool("kv", o => o.Chain.Add("wights"));
        });

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("'kv'").And.Contain("'wights'").And.Contain("registered are 'weights'");
    }

    [Theory]
    [InlineData("a", "a", "'a' -> 'a'")]
    [InlineData("b", "a", "'a' -> 'b' -> 'a'")]
    [InlineData("b", "b", "'b' -> 'b'")]
    public async Task HostStart_ChainsThatLeadBack_AreNamed(string chainOfA, string chainOfB, string cycle)
    {
        using var host = TestHost.Build(services =>
        {
            services.AddHybridPinnedPool("a", o => o.Chain.Add(chainOfA));
            services.AddHybridPinnedPool("b", o => o.Chain.Add(chainOfB));
        });

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain(cycle);
    }

    [Fact]
    public async Task HostStart_HybridInAChainTwice_IsNoCycle()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool("local", o => o.CapacityBytes = MiB);
            services.AddHybridPinnedPool("a", o => o.Chain.Add("local"));
            services.AddHybridPinnedPool("b", o => o.Chain.Add("a"));
            services.AddHybridPinnedPool("c", o =>
            {
                o.Chain.Add("a");
                o.Chain.Add("b");
            });
        });
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("c").GetSnapshot().CapacityBytes.Should().Be(MiB);
    }

    [Fact]
    public async Task HostStart_PageableMemberThatIsNotTheLast_IsRefused()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddKeyedSingleton<IPinnedMemoryPool>("pageable", new FakePool("pageable"));
            services.AddLocalPinnedPool("local", o => o.CapacityBytes = MiB);
            services.AddHybridPinnedPool("kv", o =>
            {
                o.Chain.Add("pageable");
                o.Chain.Add("local");
            });
        });

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("'pageable' may hand out pageable memory").And.Contain("'pageable', 'local'");
    }

    [Theory]
    [InlineData("local", "AllowPageable of 'local'")]
    [InlineData("pages", "AllowPageable of 'pages'")]
    [InlineData("classes", "AllowPageable of 'classes'")]
    [InlineData("fallback", "PageableFallbackBytes of 'fallback'")]
    [InlineData("outer", "AllowPageable of 'local'")]
    public async Task HostStart_MemberThatMayBecomePageable_IsRefusedBeforeTheLastAndAllowedThere(string member, string option)
    {
        using var before = TestHost.Build(services => AddPageable(services, member, "last"));
        using var behind = TestHost.Build(services => AddPageable(services, "last", member));
        using var fallback = TestHost.Build(services => AddPageable(services, "last", member, pageableFallbackBytes: MiB));

        foreach (var host in new[] { before, fallback })
        {
            (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
                .Which.Message.Should().Contain($"'{member}' may hand out pageable memory ({option})").And.Contain("'kv'");
        }

        await behind.StartAsync().DefaultTimeout();
        behind.Services.GetRequiredKeyedService<IHybridPool>("kv").GetHops().Select(hop => hop.PoolName).Should().Equal("last", member);
    }

    [Fact]
    public async Task C4_AMemberWhoseGrowthTheSystemRefuses_HasNoRoomAndIsNoOutage()
    {
        var pinner = new FakePinner { FailingPins = { 2, 3 } };
        using var host = TestHost.Build(
            services =>
            {
                services.AddLocalPinnedPool("local", o => (o.CapacityBytes, o.SlabBytes, o.InitialBytes) = (2 * MiB, MiB, MiB));
                services.AddHybridPinnedPool("kv", o =>
                {
                    o.Chain.Add("local");
                    o.PageableFallbackBytes = MiB;
                });
            },
            pinner: pinner);
        await host.StartAsync().DefaultTimeout();
        var pool = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv");

        using var first = pool.Rent(MiB);
        using var second = pool.Rent(MiB);

        (first.PoolName, first.Capabilities).Should().Be(("local", PoolCapabilities.PageLocked));
        (second.PoolName, second.Placement, second.Capabilities).Should().Be(
            ("kv-pageable", LeasePlacement.Exhausted, PoolCapabilities.None));
        host.Services.GetRequiredKeyedService<IHybridPool>("kv").GetHops()[0].IsAvailable.Should().BeTrue();
    }

    [Fact]
    public async Task HostStart_PageableMemberThatIsTheLast_IsAllowed()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddKeyedSingleton<IPinnedMemoryPool>("pageable", new FakePool("pageable"));
            services.AddHybridPinnedPool("kv", o => o.Chain.Add("pageable"));
        });
        await host.StartAsync().DefaultTimeout();

        using var lease = host.Services.GetRequiredKeyedService<IPinnedMemoryPool>("kv").Rent(1000);
        lease.Capabilities.Should().NotHaveFlag(PoolCapabilities.PageLocked);
    }

    [Fact]
    public async Task HostStart_MembersOfOneName_AreRefused()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddLocalPinnedPool("kv-4096", o => o.CapacityBytes = MiB);
            services.AddHybridPinnedPool("kv", o =>
            {
                o.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
                o.Chain.Add("kv-4096");
            });
        });

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<InvalidOperationException>())
            .Which.Message.Should().Contain("'kv-4096'");
    }

    [Fact]
    public async Task HostStart_BadOptions_AreReportedTogether()
    {
        using var host = TestHost.Build(services => services.AddHybridPinnedPool("kv", TestHost.Configuration(
            ("SizeClasses:0:BlockBytes", "4KiB"), ("SizeClasses:1:Blok", "1"), ("SizeClasses:1:BlockBytes", "4XiB"))));

        (await host.Awaiting(h => h.StartAsync().DefaultTimeout()).Should().ThrowAsync<OptionsValidationException>())
            .Which.Message.Should().Contain("SizeClasses:1:Blok is not an option").And.Contain("SizeClasses:1:BlockBytes = '4XiB'");
    }

    [Fact]
    public async Task Container_DisposesTheHybridBeforeItsChain()
    {
        using var member = new FakePool("member");
        var provider = Provider(services =>
        {
            services.AddHybridPinnedPool("kv", o => o.Chain.Add("member"));
            services.AddKeyedSingleton<IPinnedMemoryPool>("member", (_, _) => member);
        });
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");
        var lease = pool.Rent(1000);

        var disposing = provider.DisposeAsync().AsTask();
        await TestTimeouts.UntilAsync(() => IsDisposed(pool));
        member.IsDisposed.Should().BeFalse("the hybrid pool still waits for a lease from it");
        lease.Dispose();

        await disposing.DefaultTimeout();
        member.IsDisposed.Should().BeTrue();
    }

    [Fact]
    public void IHybridPool_IsReachableBehindWrappers()
    {
        using var provider = Provider(services =>
        {
            services.AddLocalPinnedPool("local", o => o.CapacityBytes = MiB);
            services.AddHybridPinnedPool("kv", o => o.Chain.Add("local")).Wrap((_, pool) => new Wrapper(pool));
        });
        var pool = provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv");

        pool.Should().BeOfType<Wrapper>();
        pool.Rent(1000).Dispose();
        provider.GetRequiredKeyedService<IHybridPool>("kv").GetHops().Should().ContainSingle().Which.ServedRents.Should().Be(1);
    }

    /// <summary>Pools that lock all they have so far and need not, and one that must; 'kv' chains two of them.</summary>
    private static void AddPageable(IServiceCollection services, string first, string second, long pageableFallbackBytes = 0)
    {
        services.AddLocalPinnedPool("last", o => o.CapacityBytes = MiB);
        services.AddLocalPinnedPool("local", o => (o.CapacityBytes, o.AllowPageable) = (MiB, true));
        services.AddFixedBlockPinnedPool("pages", o => (o.BlockBytes, o.Blocks, o.AllowPageable) = (4096, 1, true));
        services.AddHybridPinnedPool("classes", o =>
        {
            o.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
            o.AllowPageable = true;
        });
        services.AddHybridPinnedPool("fallback", o =>
        {
            o.SizeClasses.Add(new HybridSizeClass { BlockBytes = 4096, Blocks = 1 });
            o.PageableFallbackBytes = MiB;
        });
        services.AddHybridPinnedPool("outer", o => o.Chain.Add("local"));
        services.AddHybridPinnedPool("kv", o =>
        {
            o.Chain.Add(first);
            o.Chain.Add(second);
            o.PageableFallbackBytes = pageableFallbackBytes;
        });
    }

    private static bool IsDisposed(IPinnedMemoryPool pool)
    {
        try
        {
            return pool.Trim() < 0;
        }
        catch (ObjectDisposedException)
        {
            return true;
        }
    }

    private static ServiceProvider Provider(Action<IServiceCollection> register)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IHostPinner>(new FakePinner());
        register(services);
        return services.BuildServiceProvider();
    }

    private sealed class Wrapper(IPinnedMemoryPool inner) : Wrappers.DelegatingPool(inner);
}
