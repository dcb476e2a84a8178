using System.Text.Json.Nodes;
using LpLlm.Memory.Samples.Generate.Checkpoint;
using LpLlm.Memory.Samples.Generate.Llama;
using LpLlm.Memory.Samples.Generate.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>Bad tensors and data files: refused with the file, the tensor and both sizes, and no lease is kept.</summary>
public sealed class BadModelTests(HostFixture fixture) : IClassFixture<HostFixture>, IDisposable
{
    private const string Tensor = "model.layers.1.mlp.gate_proj.weight"; // 360,448 B at 1,868,800; behind it come others
    private readonly ModelCopy _copy = new();

    public void Dispose() => _copy.Dispose();

    [Fact]
    public void Load_MissingTensor_IsRefused()
    {
        _copy.EditIndex(index => index.Remove(Tensor));

        CheckRefused(_copy.IndexPath, $"*'{Tensor}' is missing*[704, 256]*(360448 B)*(0 B)*");
    }

    [Fact]
    public void Load_WrongShape_IsRefused()
    {
        _copy.EditIndex(index =>
        {
            index[Tensor]![1] = 180_224;
            index[Tensor]![2] = new JsonArray(352, 256);
        });

        CheckRefused(_copy.IndexPath, $"*'{Tensor}'*[704, 256]*(360448 B)*[352, 256]*(180224 B)*");
    }

    [Fact]
    public void Load_ShapeBeyond63Bits_IsRefused()
    {
        _copy.EditConfig(config =>
        {
            config["num_attention_heads"] = int.MaxValue;
            config["num_key_value_heads"] = 1;
            config["head_dim"] = int.MaxValue - 1;
        });

        CheckRefused(_copy.IndexPath, "*'model.layers.0.self_attn.q_proj.weight': [4611686011984936962, 256]*(2361183238136287724544 B)*(131072 B)*");
    }

    [Fact]
    public void Load_SizeThatIsNotTheShapes_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![1] = 360_450);

        CheckRefused(_copy.IndexPath, $"*'{Tensor}'*(360448 B)*(360450 B)*");
    }

    [Fact]
    public void Load_WrongElementType_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![4] = "torch.float32");

        CheckRefused(_copy.IndexPath, $"*'{Tensor}'*torch.bfloat16 (360448 B)*torch.float32 (360448 B)*");
    }

    [Fact]
    public void Load_Transposed_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![3] = new JsonArray(1, 704));

        CheckRefused(_copy.IndexPath, $"*'{Tensor}'*(360448 B)*strides [1, 704], which is not row-major.");
    }

    [Fact]
    public void Load_TensorOfNoLayer_IsRefused()
    {
        _copy.EditIndex(index => index["model.layers.0.self_attn.q_proj.bias"] =
            new JsonArray(0, 512, new JsonArray(256), new JsonArray(1), "torch.bfloat16"));

        CheckRefused(_copy.IndexPath, "*'model.layers.0.self_attn.q_proj.bias'*512 B*no part of the model*(0 B)*");
    }

    [Fact]
    public void Load_TruncatedData_IsRefused()
    {
        _copy.Truncate(0, 2_000_000);

        CheckRefused(_copy.PartitionPath(0), $"*'{Tensor}' needs 360448 B from byte 1868800 on, but the data ends at byte 2000000 (131200 B of it are there)*");
    }

    [Theory]
    [InlineData(8_722_944)]
    [InlineData(long.MaxValue)]
    public void Load_OffsetBeyondTheData_IsRefused(long offset)
    {
        _copy.EditIndex(index => index[Tensor]![0] = offset);

        CheckRefused(_copy.PartitionPath(0), $"*'{Tensor}' needs 360448 B from byte {offset} on, but the data ends at byte 8722944 (0 B of it*");
    }

    [Fact]
    public void Load_NoPartition_IsRefused()
    {
        File.Delete(_copy.PartitionPath(0));

        CheckRefused(_copy.PartitionPath(0), "*does not exist; tensor 'model.embed_tokens.weight' needs 131072 B from byte 0 on*hold 0 B.");
    }

    [Fact]
    public void Load_MissingPartition_IsRefused()
    {
        _copy.Split(1_868_800, 2_229_248);
        File.Delete(_copy.PartitionPath(1));

        CheckRefused(_copy.PartitionPath(1), $"*does not exist; tensor '{Tensor}' needs 360448 B from byte 1868800 on*hold 1868800 B.");
    }

    [Fact]
    public void Load_TruncatedPartition_IsRefused()
    {
        _copy.Split(2_229_248);
        _copy.Truncate(0, 2_229_240);

        CheckRefused(_copy.PartitionPath(0), $"*'{Tensor}' needs 360448 B from byte 1868800 on, but the file ends at byte 2229240, after 360440 B of it*");
    }

    private void CheckRefused(string path, string message)
    {
        var pool = fixture.Host.Services.GetRequiredService<IPinnedMemoryPool>();
        var load = () => LlamaWeights.Load(_copy.Folder, LlamaConfig.Read(_copy.Folder), pool, Bounded.Token());

        load.Should().Throw<ModelFileException>().WithMessage($"{path}: {message}");
        pool.GetSnapshot().LiveLeases.Should().Be(0);
    }
}
