using System.Text.Json;
using System.Text.Json.Serialization;
using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>The numbers of a Llama model, as <c>config.json</c> has them.</summary>
internal sealed record LlamaConfig
{
    public const string FileName = "config.json";

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public required int VocabSize { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    [JsonPropertyName("num_hidden_layers")]
    public required int LayerCount { get; init; }

    [JsonPropertyName("num_attention_heads")]
    public required int HeadCount { get; init; }

    /// <summary>Without it every query head has a KV head of its own.</summary>
    [JsonPropertyName("num_key_value_heads")]
    public int? ExplicitKvHeadCount { get; init; }

    /// <summary>Without it the heads share the hidden size.</summary>
    [JsonPropertyName("head_dim")]
    public int? ExplicitHeadDim { get; init; }

    [JsonPropertyName("max_position_embeddings")]
    public required int MaxPositions { get; init; }

    public required float RmsNormEps { get; init; }

    public required float RopeTheta { get; init; }

    public bool TieWordEmbeddings { get; init; }

    public required string HiddenAct { get; init; }

    public bool AttentionBias { get; init; }

    public bool MlpBias { get; init; }

    public JsonElement? RopeScaling { get; init; }

    [JsonIgnore]
    public int KvHeadCount => ExplicitKvHeadCount ?? HeadCount;

    [JsonIgnore]
    public int HeadDim => ExplicitHeadDim ?? HiddenSize / HeadCount;

    /// <exception cref="ModelFileException">The file is missing, is not JSON, or describes a model this sample does not compute.</exception>
    public static LlamaConfig Read(string directory)
    {
        var path = Path.Combine(directory, FileName);
        using var document = JsonFile.Read(path);
        var type = document.RootElement.ValueKind == JsonValueKind.Object
            && document.RootElement.TryGetProperty("model_type", out var element) ? element.ToString() : null;
        if (type != "llama") // before anything else: another type's file lacks fields for a reason
        {
            throw new ModelFileException(path, $"model_type is '{type}'; this sample computes 'llama'.");
        }

        try
        {
            var config = document.Deserialize<LlamaConfig>(Json)!;
            return LlamaConfigRules.FirstProblem(config) is { } problem ? throw new ModelFileException(path, problem) : config;
        }
        catch (JsonException e)
        {
            throw new ModelFileException(path, e.Message, e);
        }
    }
}
