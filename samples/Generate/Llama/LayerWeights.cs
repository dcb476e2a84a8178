using LpLlm.Memory.Samples.Generate.Checkpoint;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>The tensors of one decoder layer, views of the model that <see cref="LlamaWeights"/> has open.</summary>
internal sealed record LayerWeights
{
    public required Weight InputNorm { get; init; }

    public required Weight Query { get; init; }

    public required Weight Key { get; init; }

    public required Weight Value { get; init; }

    public required Weight Output { get; init; }

    public required Weight PostAttentionNorm { get; init; }

    public required Weight Gate { get; init; }

    public required Weight Up { get; init; }

    public required Weight Down { get; init; }
}
