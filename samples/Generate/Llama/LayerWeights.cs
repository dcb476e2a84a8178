namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>The tensors of one decoder layer, in pool memory that <see cref="LlamaWeights"/> owns.</summary>
internal sealed record LayerWeights
{
    public required PinnedTensor<BFloat16> InputNorm { get; init; }

    public required PinnedTensor<BFloat16> Query { get; init; }

    public required PinnedTensor<BFloat16> Key { get; init; }

    public required PinnedTensor<BFloat16> Value { get; init; }

    public required PinnedTensor<BFloat16> Output { get; init; }

    public required PinnedTensor<BFloat16> PostAttentionNorm { get; init; }

    public required PinnedTensor<BFloat16> Gate { get; init; }

    public required PinnedTensor<BFloat16> Up { get; init; }

    public required PinnedTensor<BFloat16> Down { get; init; }
}
