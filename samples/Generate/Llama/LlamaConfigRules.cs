using System.Text.Json;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>What a configuration must fulfil to be computed here.</summary>
internal static class LlamaConfigRules
{
    /// <summary>Tokens are bytes: the sample brings no tokenizer.</summary>
    private const int ByteVocabSize = 256;

    public static string? FirstProblem(LlamaConfig config)
    {
        (string Name, float Value)[] positives =
        [
            ("hidden_size", config.HiddenSize),
            ("intermediate_size", config.IntermediateSize),
            ("num_hidden_layers", config.LayerCount),
            ("num_attention_heads", config.HeadCount),
            ("num_key_value_heads", config.ExplicitKvHeadCount ?? 1),
            ("head_dim", config.ExplicitHeadDim ?? 1),
            ("max_position_embeddings", config.MaxPositions),
            ("rms_norm_eps", config.RmsNormEps),
            ("rope_theta", config.RopeTheta),
        ];
        foreach (var (name, value) in positives)
        {
            if (!(value > 0 && float.IsFinite(value)))
            {
                return $"{name} is {value}; a number above 0 is expected.";
            }
        }

        return config switch
        {
            { VocabSize: not ByteVocabSize } => $"vocab_size is {config.VocabSize}; this sample's tokens are bytes, so {ByteVocabSize} is expected.",
            { HiddenAct: not "silu" } => $"hidden_act is '{config.HiddenAct}'; this sample computes 'silu'.",
            { AttentionBias: true } => "attention_bias is true; this sample computes projections without a bias.",
            { MlpBias: true } => "mlp_bias is true; this sample computes projections without a bias.",
            { RopeScaling.ValueKind: not JsonValueKind.Null } => "rope_scaling is set; this sample computes unscaled rotary embeddings.",
            _ when config.HeadCount % config.KvHeadCount != 0 =>
                $"num_attention_heads is {config.HeadCount}, which is no multiple of num_key_value_heads, {config.KvHeadCount}.",
            { ExplicitHeadDim: null } when config.HiddenSize % config.HeadCount != 0 =>
                $"hidden_size is {config.HiddenSize}, which is no multiple of num_attention_heads, {config.HeadCount}; give head_dim.",
            _ when config.HeadDim % 2 != 0 => $"the head dimension is {config.HeadDim}; rotary embeddings need an even one.",
            _ => null,
        };
    }
}
