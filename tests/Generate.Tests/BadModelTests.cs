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
    public async Task Load_MissingTensor_IsRefused()
    {
        _copy.EditIndex(index => index.Remove(Tensor));

        await CheckRefusedAsync(_copy.IndexPath, $"*'{Tensor}' is missing*[704, 256]*(360448 B)*(0 B)*");
    }

    [Fact]
    public async Task Load_WrongShape_IsRefused()
    {
        _copy.EditIndex(index =>
        {
            index[Tensor]![1] = 180_224;
            index[Tensor]![2] = new JsonArray(352, 256);
        });

        await CheckRefusedAsync(_copy.IndexPath, $"*'{Tensor}'*[704, 256]*(360448 B)*[352, 256]*(180224 B)*");
    }

    [Fact]
    public async Task Load_ShapeBeyond63Bits_IsRefused()
    {
        _copy.EditConfig(config =>
        {
            config["num_attention_heads"] = int.MaxValue;
            config["num_key_value_heads"] = 1;
            config["head_dim"] = int.MaxValue - 1;
        });

        await CheckRefusedAsync(_copy.IndexPath, "*'model.layers.0.self_attn.q_proj.weight': [4611686011984936962, 256]*(2361183238136287724544 B)*(131072 B)*");
    }

    [Fact]
    public async Task Load_SizeThatIsNotTheShapes_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![1] = 360_450);

        await CheckRefusedAsync(_copy.IndexPath, $"*'{Tensor}'*(360448 B)*(360450 B)*");
    }

    [Fact]
    public async Task Load_WrongElementType_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![4] = "torch.float32");

        await CheckDamagedAsync(_copy.IndexPath, $"*'{Tensor}'*torch.float32 reaches to byte 720896 of its storage, which has 360448 B.");
    }

    [Fact]
    public async Task Load_Transposed_IsRefused()
    {
        _copy.EditIndex(index => index[Tensor]![3] = new JsonArray(1, 704));

        await CheckRefusedAsync(_copy.IndexPath, $"*'{Tensor}'*(360448 B)*strides [1, 704], which is not row-major.");
    }

    [Fact]
    public async Task Load_TensorOfNoLayer_IsRefused()
    {
        _copy.EditIndex(index => index["model.layers.0.self_attn.q_proj.bias"] =
            new JsonArray(0, 512, new JsonArray(256), new JsonArray(1), "torch.bfloat16"));

        await CheckRefusedAsync(_copy.IndexPath, "*'model.layers.0.self_attn.q_proj.bias'*512 B*no part of the model*(0 B)*");
    }

    [Fact]
    public async Task Load_TruncatedData_IsRefused()
    {
        _copy.Truncate(0, 2_000_000);

        await CheckDamagedAsync(_copy.IndexPath, "*tensor '*' needs * B from byte * on, but the data files end at byte 2000000: one is cut short*");
    }

    [Theory]
    [InlineData(8_722_944)]
    [InlineData(long.MaxValue)]
    public async Task Load_OffsetBeyondTheData_IsRefused(long offset)
    {
        _copy.EditIndex(index => index[Tensor]![0] = offset);

        await CheckDamagedAsync(_copy.IndexPath, $"*'{Tensor}' needs 360448 B from byte {offset} on, but the data files end at byte 8722944: *");
    }

    [Fact]
    public async Task Load_NoPartition_IsRefused()
    {
        File.Delete(_copy.PartitionPath(0));

        await CheckStoreRefusesAsync(ModelStoreFault.NotFound, $"*{_copy.PartitionPath(0)} does not exist*");
    }

    [Fact]
    public async Task Load_MissingPartition_IsRefused()
    {
        _copy.Split(1_868_800, 2_229_248);
        File.Delete(_copy.PartitionPath(1));

        await CheckDamagedAsync(_copy.PartitionPath(1), "*does not exist, but data files with higher numbers do.");
    }

    [Fact]
    public async Task Load_TruncatedPartition_IsRefused()
    {
        _copy.Split(2_229_248);
        _copy.Truncate(0, 2_229_240);

        await CheckDamagedAsync(_copy.IndexPath, "*needs * on, but the data files end at byte 8722936: one is cut short*");
    }

    [Theory]
    [InlineData("", "*is not the JSON that it should be (0 B)*")]
    [InlineData("{ \"a\": [0, 2,", "*is not the JSON that it should be (13 B)*")]
    [InlineData("[]", "*JSON Array where an object of tensors is expected.")]
    [InlineData("{ \"a\": 5 }", "*tensor 'a' is 5;*")]
    [InlineData("{ \"a\": [-1, 2, [1], [1], \"torch.bfloat16\"] }", "*tensor 'a' is [-1, 2,*")]
    [InlineData("{ \"a\": [0, 1.5, [1], [1], \"torch.bfloat16\"] }", "*tensor 'a' is [0, 1.5,*")]
    [InlineData("{ \"a\": [0, 2, 1, [1], \"torch.bfloat16\"] }", "*tensor 'a'*")]
    [InlineData("{ \"a\": [0, 2, [1], [1], null] }", "*tensor 'a'*")]
    [InlineData("{ \"a\": [0, 2, [1], [1], \"torch.bfloat16\"], \"a\": [2, 2, [1], [1], \"torch.bfloat16\"] }", "*tensor 'a' is there twice.")]
    public async Task ReadIndex_BadText_IsRefused(string text, string message)
    {
        File.WriteAllText(_copy.IndexPath, text);

        await CheckDamagedAsync(_copy.IndexPath, message);
    }

    /// <summary>What the model lacks for what config.json describes.</summary>
    private async Task CheckRefusedAsync(string path, string message) => await CheckAsync<ModelFileException>($"{path}: {message}");

    /// <summary>What the store finds.</summary>
    private Task CheckDamagedAsync(string path, string message) => CheckStoreRefusesAsync(ModelStoreFault.Damaged, $"Model '*': {path}: {message}");

    private async Task CheckStoreRefusesAsync(ModelStoreFault fault, string message) =>
        (await CheckAsync<ModelStoreException>(message)).Fault.Should().Be(fault);

    private async Task<T> CheckAsync<T>(string message)
        where T : Exception
    {
        var pool = fixture.Host.Services.GetRequiredService<IPinnedMemoryPool>();
        T failure;
        using (var store = new FolderStore(_copy.Folder, pool))
        {
            var load = () => LlamaWeights.OpenAsync(_copy.Folder, LlamaConfig.Read(_copy.Folder), store.Store, Bounded.Token());
            failure = (await load.Should().ThrowAsync<T>().WithMessage(message)).Which;
        }

        pool.GetSnapshot().LiveLeases.Should().Be(0);
        return failure;
    }
}
