using System.Numerics.Tensors;
using LpLlm.Memory.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LpLlm.Memory.Models;

public sealed class ModelStoreRegistrationTests : IDisposable
{
    private readonly ModelFiles _files = new();
    private readonly FakePool _pool = new();

    public void Dispose()
    {
        _files.Dispose();
        _pool.Dispose();
    }

    [Fact]
    public async Task AddModelStore_Open_GivesTheTensorsInThePool()
    {
        var bytes = _files.Add("llama/7b", 4096);
        _files.AddIndex("llama/7b", """{"w": [0, 64, [4, 8], [8, 1], "torch.bfloat16"], "b": [64, 16, [4], [1], "torch.float32"]}""");
        await using var provider = Provide(options => options.StoragePath = _files.StoragePath);
        var store = provider.GetRequiredService<IModelStore>();

        using (var model = await store.OpenAsync("llama/7b").DefaultTimeout())
        {
            model.Model.Should().Be("llama/7b");
            model.LengthBytes.Should().Be(4096);
            model.Tensors.Keys.Should().BeEquivalentTo("w", "b");
            CheckBytes(model.GetBytes("w"), bytes.AsSpan(0, 64));
            CheckBytes(model.GetBytes("b"), bytes.AsSpan(64, 16));
            _pool.LiveLeases.Should().Be(1);
        }

        _pool.LiveLeases.Should().Be(1, "an idle model stays for the next who opens it");
        using var again = await store.OpenAsync("llama/7b").DefaultTimeout();
        _pool.TotalRents.Should().Be(1);
    }

    [Fact]
    public async Task AddModelStore_OpenTwice_IsOneCopy()
    {
        _files.Add("a", 4096);
        _files.AddIndex("a", "{}");
        await using var provider = Provide(options => options.StoragePath = _files.StoragePath);
        var store = provider.GetRequiredService<IModelStore>();

        using var first = await store.OpenAsync("a").DefaultTimeout();
        using var second = await store.OpenAsync("a").DefaultTimeout();

        second.Address.Should().Be(first.Address);
        first.Dispose();
        first.Dispose();
        second.Address.Should().NotBe(0, "the other's handle is its own");
    }

    [Fact]
    public async Task AddModelStore_OpenWithoutIndex_DamagedAndNotInUse()
    {
        _files.Add("a", 4096);
        var provider = Provide(options => options.StoragePath = _files.StoragePath);
        var store = provider.GetRequiredService<IModelStore>();

        (await Faults.OfAsync(() => store.OpenAsync("a").AsTask())).Should().Be(ModelStoreFault.Damaged);

        await provider.DisposeAsync();
        _pool.LiveLeases.Should().Be(0);
    }

    [Fact]
    public async Task AddModelStore_ContainerDisposedWithoutAwait_GivesTheMemoryBack()
    {
        _files.Add("a", 4096);
        _files.AddIndex("a", "{}");
        using (var provider = Provide(options => options.StoragePath = _files.StoragePath))
        {
            (await provider.GetRequiredService<IModelStore>().OpenAsync("a").DefaultTimeout()).Dispose();
            _pool.LiveLeases.Should().Be(1);
        }

        _pool.LiveLeases.Should().Be(0);
    }

    [Fact]
    public void AddModelStore_NamedPool_IsTaken()
    {
        var services = new ServiceCollection();
        services.AddKeyedSingleton<IPinnedMemoryPool>("models", _pool);
        services.AddModelStore(options => (options.StoragePath, options.PoolName) = (_files.StoragePath, "models"));
        using var provider = services.BuildServiceProvider();

        provider.GetRequiredService<IModelStore>().Should().NotBeNull();
    }

    [Theory]
    [InlineData(null, "*default pool, and none is registered*")]
    [InlineData("models", "*PoolName = 'models' is not a registered pool*")]
    public void AddModelStore_NoPool_SaysWhich(string? poolName, string message)
    {
        using var provider = new ServiceCollection()
            .AddModelStore(options => (options.StoragePath, options.PoolName) = ("/models", poolName)).BuildServiceProvider();

        var resolve = () => provider.GetRequiredService<IModelStore>();

        resolve.Should().Throw<InvalidOperationException>().WithMessage(message);
    }

    [Fact]
    public void AddModelStore_Twice_Refused()
    {
        var services = new ServiceCollection().AddModelStore(options => options.StoragePath = "/models");

        var again = () => services.AddModelStore(options => options.StoragePath = "/models");

        again.Should().Throw<InvalidOperationException>();
    }

    [Theory]
    [InlineData("StoragePath", "", "*StoragePath = ''*")]
    [InlineData("PoolName", "a b", "*PoolName = 'a b'*")]
    [InlineData("ThreadCount", "0", "*ThreadCount = 0*")]
    [InlineData("ThreadCount", "257", "*ThreadCount = 257*")]
    [InlineData("ThreadCount", "many", "*ThreadCount = 'many'*")]
    [InlineData("Treads", "4", "*Treads is not an option*ThreadCount*")]
    public void AddModelStore_BadSection_RefusedWithKeyAndValue(string key, string value, string message)
    {
        var section = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["StoragePath"] = "/models", [key] = value }).Build();
        using var provider = new ServiceCollection().AddSingleton<IPinnedMemoryPool>(_pool).AddModelStore(section).BuildServiceProvider();

        var resolve = () => provider.GetRequiredService<IModelStore>();

        resolve.Should().Throw<OptionsValidationException>().WithMessage(message);
    }

    private static void CheckBytes(ReadOnlyTensorSpan<byte> tensor, ReadOnlySpan<byte> expected)
    {
        var bytes = new byte[tensor.FlattenedLength];
        tensor.FlattenTo(bytes);
        bytes.AsSpan().SequenceEqual(expected).Should().BeTrue();
    }

    private ServiceProvider Provide(Action<ModelStoreOptions> configure) =>
        new ServiceCollection().AddSingleton<IPinnedMemoryPool>(_pool).AddModelStore(configure).BuildServiceProvider();
}
