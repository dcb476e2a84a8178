using System.Text;
using LpLlm.Memory.Attention;
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
    public void Load_TiedEmbeddings_SharesTheEmbedding()
    {
        using var copy = new ModelCopy();
        copy.EditConfig(config => config["tie_word_embeddings"] = true);
        copy.EditIndex(index => index.Remove("lm_head.weight"));

        using var weights = LlamaWeights.Load(copy.Folder, LlamaConfig.Read(copy.Folder), Pool, Bounded.Token());

        weights.Head.Lease.Should().BeSameAs(weights.Embedding.Lease);
        weights.LengthBytes.Should().Be(8_722_944 - 131_072);
        Pool.GetSnapshot().LiveLeases.Should().Be(56);
    }

    [Fact]
    public void Load_Weights_AreTheFilesBytes()
    {
        using var copy = new ModelCopy();
        var bytes = File.ReadAllBytes(copy.PartitionPath(0));

        using var weights = LlamaWeights.Load(copy.Folder, LlamaConfig.Read(copy.Folder), Pool, Bounded.Token());

        weights.LengthBytes.Should().Be(bytes.Length);
        weights.Layers[1].Value.Lease.GetSpan(0, 32_768).SequenceEqual(bytes.AsSpan(1_704_960, 32_768)).Should().BeTrue();
    }

    [Fact]
    public void Load_Cancelled_KeepsNoLease()
    {
        using var copy = new ModelCopy();
        var load = () => LlamaWeights.Load(copy.Folder, LlamaConfig.Read(copy.Folder), Pool, new CancellationToken(canceled: true));

        load.Should().Throw<OperationCanceledException>();
        Pool.GetSnapshot().LiveLeases.Should().Be(0);
    }

    private IPinnedMemoryPool Pool => fixture.Host.Services.GetRequiredService<IPinnedMemoryPool>();

    private async Task<byte[]> ContinueAsync(ModelCopy copy, string prompt, int newTokens)
    {
        var config = LlamaConfig.Read(copy.Folder);
        using var weights = LlamaWeights.Load(copy.Folder, config, Pool, Bounded.Token());
        var model = new LlamaModel(config, weights, fixture.Host.Services.GetRequiredService<IAttnManager>());
        return await new TextGenerator(model, KvElementType.Float32)
            .GenerateAsync(Encoding.UTF8.GetBytes(prompt), newTokens, Bounded.Token())
            .ToArrayAsync();
    }
}
