using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Tests;

public class FixedBlockRegistrationTests
{
    [Fact]
    public async Task AddFixedBlockPinnedPool_Unnamed_IsOnePoolUnderBothContracts()
    {
        using var host = TestHost.Build(services => services.AddFixedBlockPinnedPool(o => (o.BlockBytes, o.Blocks) = (4096, 8)));
        await host.StartAsync().DefaultTimeout();

        var pool = host.Services.GetRequiredService<IFixedBlockPool>();

        pool.Should().BeSameAs(host.Services.GetRequiredService<IPinnedMemoryPool>());
        pool.Should().BeSameAs(host.Services.GetRequiredKeyedService<IFixedBlockPool>("default"));
        pool.GetSnapshot().ReservedBytes.Should().Be(8 * 4096, "it was opened when the host started");
    }

    [Fact]
    public async Task AddFixedBlockPinnedPool_Sections_ReadShapeAndSizes()
    {
        using var host = TestHost.Build(services =>
        {
            services.AddFixedBlockPinnedPool("kv", TestHost.Configuration(("BlockBytes", "64KiB"), ("Blocks", "4")));
            services.AddFixedBlockPinnedPool(TestHost.Configuration(("BlockBytes", "1KiB"), ("Blocks", "2")));
            services.AddPinnedMemoryPool("states", TestHost.Configuration(
                ("Kind", "fixedblock"),
                ("FixedBlock:Shape:0", "16"),
                ("FixedBlock:Shape:1", "100"),
                ("FixedBlock:ElementBytes", "4"),
                ("FixedBlock:Blocks", "3")));
        });
        await host.StartAsync().DefaultTimeout();

        host.Services.GetRequiredKeyedService<IFixedBlockPool>("kv").BlockBytes.Should().Be(64 << 10);
        host.Services.GetRequiredService<IFixedBlockPool>().BlockBytes.Should().Be(1024);
        var states = host.Services.GetRequiredKeyedService<IFixedBlockPool>("states");
        states.BlockBytes.Should().Be(16 * 100 * 4);
        states.Blocks.Should().Be(3);
    }

    [Fact]
    public void Resolve_WrapperWithoutBatches_SaysSo()
    {
        var services = new ServiceCollection();
        services.AddSingleton<IHostPinner>(new FakePinner());
        services.AddFixedBlockPinnedPool("kv", o => (o.BlockBytes, o.Blocks) = (4096, 8)).Wrap((_, inner) => new Wrapper(inner));
        using var provider = services.BuildServiceProvider();

        provider.GetRequiredKeyedService<IPinnedMemoryPool>("kv").Should().BeOfType<Wrapper>();
        provider.Invoking(p => p.GetRequiredKeyedService<IFixedBlockPool>("kv"))
            .Should().Throw<InvalidOperationException>().Which.Message.Should().Contain("'kv' is wrapped");
    }

    private sealed class Wrapper(IPinnedMemoryPool inner) : Wrappers.DelegatingPool(inner);
}
