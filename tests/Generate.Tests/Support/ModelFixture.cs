using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Cli;
using LpLlm.Memory.Samples.Generate.Llama;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests.Support;

/// <summary>The model of the samples, opened in the host's store.</summary>
public sealed class ModelFixture : HostFixture
{
    private LlamaWeights _weights = null!;

    internal LlamaModel Model { get; private set; } = null!;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        var directory = new GenerateOptions().ModelFolder;
        var config = LlamaConfig.Read(directory);
        _weights = await LlamaWeights.OpenAsync(directory, config, Host.Services.GetRequiredService<IModelStore>(), Bounded.Token());
        Model = new LlamaModel(config, _weights, Host.Services.GetRequiredService<IAttnManager>());
    }

    public override async Task DisposeAsync()
    {
        _weights.Dispose();
        Host.Services.GetRequiredService<IPinnedMemoryPool>().GetSnapshot().LiveLeases.Should().Be(1, "every session was disposed, and the store keeps the model");
        await base.DisposeAsync();
    }
}
