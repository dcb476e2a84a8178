using System.Runtime.InteropServices;
using System.Text;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Cli;
using LpLlm.Memory.Samples.Generate.Generation;
using LpLlm.Memory.Samples.Generate.Llama;
using LpLlm.Memory.Samples.Generate.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>Checkpoints that are right, in shapes other than the sample's own.</summary>
public sealed class CheckpointTests(HostFixture fixture) : IClassFixture<HostFixture>
{
    [Fact]
    public async Task Load_SeveralPartitions_GivesTheSameText()
    {
        using var copy = new ModelCopy();
        copy.Split(131_072, 1_541_120, 8_591_360); // each at the start of a tensor
        var reference = Reference.Instance.Cases[0];

        var text = await ContinueAsync(copy, reference.Prompt, reference.Continuation.Length);

        text.Should().Equal(reference.Continuation);
    }

    [Fact]
    public async Task Load_TiedEmbeddings_SharesTheEmbedding()
    {
        using var copy = new ModelCopy();
        copy.EditConfig(config => config["tie_word_embeddings"] = true);
        copy.EditIndex(index => index.Remove("lm_head.weight"));
        using var store = new FolderStore(copy.Folder, Pool);

        using var weights = await LlamaWeights.OpenAsync(copy.Folder, LlamaConfig.Read(copy.Folder), store.Store, Bounded.Token());

        weights.Head.Should().BeSameAs(weights.Embedding);
        weights.LengthBytes.Should().Be(8_722_944, "a model is loaded as a whole");
        Pool.GetSnapshot().LiveLeases.Should().Be(1);
    }

    [Fact]
    public async Task Load_Weights_AreTheFilesBytes()
    {
        using var copy = new ModelCopy();
        var bytes = File.ReadAllBytes(copy.PartitionPath(0));
        using var store = new FolderStore(copy.Folder, Pool);

        using var weights = await LlamaWeights.OpenAsync(copy.Folder, LlamaConfig.Read(copy.Folder), store.Store, Bounded.Token());

        weights.LengthBytes.Should().Be(bytes.Length);
        MemoryMarshal.AsBytes(weights.Layers[1].Value.AsSpan()).SequenceEqual(bytes.AsSpan(1_704_960, 32_768)).Should().BeTrue();
    }

    [Fact]
    public void Load_LinkToAFolder_IsTheFolder()
    {
        using var copy = new ModelCopy();
        var link = copy.Folder + "-link";
        Directory.CreateSymbolicLink(link, copy.Folder);

        new GenerateOptions { ModelDirectory = link + "/" }.ModelFolder.Should().Be(copy.Folder);

        File.Delete(link);
    }

    [Fact]
    public async Task Load_Cancelled_KeepsNoLease()
    {
        using var copy = new ModelCopy();
        using var store = new FolderStore(copy.Folder, Pool);
        var load = () => LlamaWeights.OpenAsync(copy.Folder, LlamaConfig.Read(copy.Folder), store.Store, new CancellationToken(canceled: true));

        await load.Should().ThrowAsync<OperationCanceledException>();
        Pool.GetSnapshot().LiveLeases.Should().Be(0);
    }

    private IPinnedMemoryPool Pool => fixture.Host.Services.GetRequiredService<IPinnedMemoryPool>();

    private async Task<byte[]> ContinueAsync(ModelCopy copy, string prompt, int newTokens)
    {
        var config = LlamaConfig.Read(copy.Folder);
        using var store = new FolderStore(copy.Folder, Pool);
        using var weights = await LlamaWeights.OpenAsync(copy.Folder, config, store.Store, Bounded.Token());
        var model = new LlamaModel(config, weights, fixture.Host.Services.GetRequiredService<IAttnManager>());
        return await new TextGenerator(model, KvElementType.Float32)
            .GenerateAsync(Encoding.UTF8.GetBytes(prompt), newTokens, Bounded.Token())
            .ToArrayAsync();
    }
}
