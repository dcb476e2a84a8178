using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Cli;
using LpLlm.Memory.Samples.Generate.Llama;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>The model of the samples, loaded into the host's pool.</summary>
public sealed class ModelFixture : HostFixture
{
    private LlamaWeights _weights = null!;

    internal LlamaModel Model { get; private set; } = null!;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        var directory = new GenerateOptions().ModelDirectory;
        var config = LlamaConfig.Read(directory);
        _weights = LlamaWeights.Load(directory, config, Host.Services.GetRequiredService<IPinnedMemoryPool>(), Bounded.Token());
        Model = new LlamaModel(config, _weights, Host.Services.GetRequiredService<IAttnManager>());
    }

    public override async Task DisposeAsync()
    {
        _weights.Dispose();
        Host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot().LiveLeases.Should().Be(0, "every session was disposed");
        await base.DisposeAsync();
    }
}
