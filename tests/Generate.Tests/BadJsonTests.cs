using System.Text.Json.Nodes;
using LpLlm.Memory.Samples.Generate.Checkpoint;
using LpLlm.Memory.Samples.Generate.Llama;
using LpLlm.Memory.Samples.Generate.Tests.Support;

namespace LpLlm.Memory.Samples.Generate.Tests;

/// <summary>Bad <c>config.json</c>: refused with the file and what is wrong in it.</summary>
public sealed class BadJsonTests : IDisposable
{
    private readonly ModelCopy _copy = new();

    public void Dispose() => _copy.Dispose();

    [Theory]
    [InlineData("", "*is not JSON (0 B)*")]
    [InlineData("{ \"model_type\": ", "*is not JSON (16 B)*")]
    [InlineData("[]", "*model_type is ''*")]
    [InlineData("{ \"model_type\": \"gpt2\" }", "*model_type is 'gpt2'; this sample computes 'llama'.")]
    [InlineData("{ \"model_type\": \"llama\" }", "*missing required properties*hidden_size*")]
    public void ReadConfig_BadText_IsRefused(string text, string message)
    {
        File.WriteAllText(_copy.ConfigPath, text);

        CheckConfigRefused(message);
    }

    [Theory]
    [InlineData("hidden_size", "0", "*hidden_size is 0; a number above 0*")]
    [InlineData("hidden_size", "\"256\"", "*hidden_size*")]
    [InlineData("vocab_size", "32000", "*vocab_size is 32000*256 is expected*")]
    [InlineData("num_key_value_heads", "3", "*num_attention_heads is 8*num_key_value_heads, 3*")]
    [InlineData("head_dim", "31", "*head dimension is 31*even*")]
    [InlineData("hidden_act", "\"gelu\"", "*hidden_act is 'gelu'*'silu'*")]
    [InlineData("attention_bias", "true", "*attention_bias is true*")]
    [InlineData("rope_scaling", "{\"factor\": 2}", "*rope_scaling is set*")]
    [InlineData("rms_norm_eps", "-1e-5", "*rms_norm_eps is -1E-05*")]
    public void ReadConfig_BadValue_IsRefused(string key, string value, string message)
    {
        _copy.EditConfig(config => config[key] = JsonNode.Parse(value));

        CheckConfigRefused(message);
    }

    [Fact]
    public void ReadConfig_NoFile_IsRefused()
    {
        File.Delete(_copy.ConfigPath);

        CheckConfigRefused("*does not exist*");
    }

    private void CheckConfigRefused(string message)
    {
        var read = () => LlamaConfig.Read(_copy.Folder);

        read.Should().Throw<ModelFileException>().WithMessage($"{_copy.ConfigPath}: {message}");
    }
}
