using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Attention.Tests;

public class RegistrationTests : AttnTestBase
{
    private readonly ServiceCollection _services = new();

    [Fact]
    public async Task AddAttnManager_Configuration_WorksEndToEnd()
    {
        Pool = new FakePool("kv", capabilities: PoolCapabilities.Shared);
        _services.AddKeyedSingleton<IPinnedMemoryPool>("kv", Pool);
        AddFromConfiguration(
            ("Device", "CPU"), ("UseServerPool", "true"), ("PoolSize", "8GiB"), ("ChunkSize", "512MB"), ("PageTokens", "4"),
            ("QueueLength", "3"), ("Parallelism", "2"));
        await using var provider = _services.BuildServiceProvider();

        var manager = provider.GetRequiredService<IAttnManager>();

        manager.Should().BeSameAs(provider.GetRequiredService<IAttnManager>());
        manager.Pool.Should().BeSameAs(Pool);
        provider.GetRequiredService<IOptions<AttnManagerOptions>>().Value.Should().BeEquivalentTo(new AttnManagerOptions
        {
            Device = "CPU",
            PoolSize = 8L << 30,
            ChunkSize = 512 << 20,
            PageTokens = 4,
            QueueLength = 3,
            Parallelism = 2,
        });
        var tokens = Tokens.Random(1, 20, 4, Shape());
        var cache = manager.CreateCache(tokens.Shape);
        (await manager.AttendAsync(cache.CreateSequence(), tokens)).ShouldMatch(Oracle.Attend(tokens, 20));
        cache.PageCount.Should().Be(5);
    }

    [Theory]
    [InlineData("4096", 4096L)]
    [InlineData("8GiB", 8L << 30)]
    [InlineData("512MB", 512L << 20)]
    public void AddAttnManager_SizeTexts_AreBytes(string text, long bytes)
    {
        AddFromConfiguration(("PoolSize", text));

        Options().PoolSize.Should().Be(bytes);
    }

    [Fact]
    public void AddAttnManager_BadConfiguration_ReportsEverythingByPath()
    {
        AddFromConfiguration(("PoolSise", "8GiB"), ("PoolSize", "plenty"), ("PageTokens", "some"));

        FluentActions.Invoking(Options).Should().Throw<OptionsValidationException>().Which.Failures.Should().SatisfyRespectively(
            first => first.Should().StartWith("Attn:PageTokens = 'some' is not valid; a whole number"),
            second => second.Should().Be(
                "Attn:PoolSise is not an option; the options here are ChunkSize, Device, PageTokens, Parallelism, PoolName, PoolSize, "
                + "QueueLength, UseServerPool."),
            third => third.Should().Be("Attn:PoolSize = 'plenty' is not valid; a size such as 2GiB, 512MB or 4096 is expected."));
    }

    [Fact]
    public void AddAttnManager_OptionsOutOfRange_ReportsAllTogether()
    {
        _services.AddAttnManager(options =>
        {
            options.Device = "cuda:0";
            options.PoolName = "my pool";
            options.PoolSize = 0;
            options.ChunkSize = -1;
            options.PageTokens = 4097;
            options.QueueLength = 65_537;
            options.Parallelism = 1025;
        });

        FluentActions.Invoking(() => Resolve()).Should().Throw<OptionsValidationException>().Which.Failures.Should().Equal(
            "Device = 'cuda:0' needs a driver, and none is registered; register one (an IDeviceSet), or set cpu.",
            "PoolName = 'my pool' is not 1 to 64 characters of [A-Za-z0-9_-]; leave it out to let UseServerPool choose.",
            "PoolSize = 0 is below 1.",
            "ChunkSize = -1 is below 1.",
            "PageTokens = 4097 exceeds 4096.",
            "QueueLength = 65537 exceeds 65536.",
            "Parallelism = 1025 exceeds 1024.");
    }

    [Fact]
    public void AddAttnManager_OptionsAtTheirLimits_AreAccepted()
    {
        _services.AddAttnManager(options =>
        {
            options.PoolName = "A-z_9";
            options.PoolSize = 1;
            options.ChunkSize = long.MaxValue;
            options.PageTokens = 4096;
            options.QueueLength = 65_536;
            options.Parallelism = 1024;
        });

        Options().PageTokens.Should().Be(4096);
    }

    [Fact]
    public void AddAttnManager_ValidatesAtHostStart()
    {
        _services.AddAttnManager(options => options.PageTokens = 0);
        using var provider = _services.BuildServiceProvider();

        FluentActions.Invoking(provider.GetRequiredService<IStartupValidator>().Validate)
            .Should().Throw<OptionsValidationException>().WithMessage("PageTokens = 0 is below 1.");
    }

    [Fact]
    public void AddAttnManager_Twice_ThrowsInsteadOfMergingOptions()
    {
        _services.AddAttnManager(_ => { });

        _services.Invoking(services => services.AddAttnManager(_ => { })).Should().Throw<InvalidOperationException>();
    }

    [Fact]
    public void AddAttnManager_ManagerAlreadyRegistered_IsKept()
    {
        var own = CreateManager();
        _services.AddSingleton(own);

        _services.AddAttnManager(_ => { });

        Resolve().Should().BeSameAs(own);
    }

    [Fact]
    public void Pool_NameGiven_WinsOverUseServerPool()
    {
        AddPools(("a", PoolCapabilities.Shared), ("b", PoolCapabilities.None));
        _services.AddAttnManager(options => options.PoolName = "b");

        Resolve().Pool.Name.Should().Be("b");
    }

    [Fact]
    public void Pool_NameNotRegistered_ThrowsAndListsPools()
    {
        AddPools(("a", PoolCapabilities.Shared | PoolCapabilities.PageLocked), ("b", PoolCapabilities.None));
        _services.AddAttnManager(options => options.PoolName = "c");

        FluentActions.Invoking(Resolve).Should().Throw<InvalidOperationException>()
            .WithMessage("PoolName = 'c' is not a registered pool; the registered pools are 'a' (PageLocked, Shared), 'b' (None).");
    }

    [Fact]
    public void Pool_UseServerPool_TakesTheOneSharedPool()
    {
        AddPools(("a", PoolCapabilities.PageLocked), ("b", PoolCapabilities.PageLocked | PoolCapabilities.Shared));
        _services.AddKeyedSingleton("alias", (provider, _) => provider.GetRequiredKeyedService<IPinnedMemoryPool>("b"));
        _services.AddAttnManager(_ => { });

        Resolve().Pool.Name.Should().Be("b");
    }

    [Theory]
    [InlineData(PoolCapabilities.None, 0)]
    [InlineData(PoolCapabilities.Shared, 2)]
    public void Pool_UseServerPoolNoneOrMany_ThrowsAndListsPools(PoolCapabilities capabilities, int shared)
    {
        AddPools(("a", capabilities), ("b", capabilities));
        _services.AddAttnManager(_ => { });

        FluentActions.Invoking(Resolve).Should().Throw<InvalidOperationException>().WithMessage(
            $"UseServerPool = true needs exactly one*there are {shared}; set PoolName, or UseServerPool = false*'a' ({capabilities}), 'b'*");
    }

    [Fact]
    public void Pool_UseServerPoolFalse_TakesTheUnkeyedPool()
    {
        AddPools(("a", PoolCapabilities.Shared));
        _services.AddSingleton<IPinnedMemoryPool>(new FakePool("default"));
        _services.AddAttnManager(options => options.UseServerPool = false);

        Resolve().Pool.Name.Should().Be("default");
    }

    [Fact]
    public void AddAttnManager_WithLogger_LogsThePool()
    {
        var log = new RecordingLogger();
        _services.AddSingleton<IPinnedMemoryPool>(Pool).AddSingleton<ILogger<AttnManager>>(log);
        _services.AddAttnManager(options => (options.UseServerPool, options.PoolSize) = (false, 4096));

        Resolve().Pool.Should().BeSameAs(Pool);

        log.Messages.Should().Equal("Attention uses pool 'fake' (None); KV pages take at most 4096 B of it (null: as much as it gives).");
    }

    [Fact]
    public void Pool_NoneRegistered_Throws()
    {
        _services.AddAttnManager(options => options.UseServerPool = false);

        FluentActions.Invoking(Resolve).Should().Throw<InvalidOperationException>()
            .WithMessage("UseServerPool = false takes the default pool, and none is registered*no named pool is registered.");
    }

    [Fact]
    public void AddAttnManager_NullArguments_Throw()
    {
        FluentActions.Invoking(() => _services.AddAttnManager((IConfiguration)null!)).Should().Throw<ArgumentNullException>();
        FluentActions.Invoking(() => _services.AddAttnManager((Action<AttnManagerOptions>)null!)).Should().Throw<ArgumentNullException>();
    }

    private void AddPools(params (string Name, PoolCapabilities Capabilities)[] pools)
    {
        foreach (var (name, capabilities) in pools)
        {
            _services.AddKeyedSingleton<IPinnedMemoryPool>(name, new FakePool(name, capabilities: capabilities));
        }
    }

    private void AddFromConfiguration(params (string Key, string Value)[] values) => _services.AddAttnManager(
        new ConfigurationBuilder()
            .AddInMemoryCollection(values.Select(value => KeyValuePair.Create($"Attn:{value.Key}", (string?)value.Value)))
            .Build().GetSection("Attn"));

    private IAttnManager Resolve()
    {
        using var provider = _services.BuildServiceProvider();
        return provider.GetRequiredService<IAttnManager>();
    }

    private AttnManagerOptions Options()
    {
        using var provider = _services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<AttnManagerOptions>>().Value;
    }
}
