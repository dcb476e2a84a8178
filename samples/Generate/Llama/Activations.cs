namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>Buffers of one forward pass, made once per session for the largest block of tokens.</summary>
internal sealed class Activations(LlamaConfig config, int maxTokenCount)
{
    /// <summary>The residual stream.</summary>
    public Memory<float> Hidden { get; } = new float[maxTokenCount * config.HiddenSize];

    public Memory<float> Normed { get; } = new float[maxTokenCount * config.HiddenSize];

    /// <summary>What a half of a layer adds to the residual stream.</summary>
    public Memory<float> Update { get; } = new float[maxTokenCount * config.HiddenSize];

    public Memory<float> Query { get; } = new float[maxTokenCount * config.HeadCount * config.HeadDim];

    public Memory<float> Key { get; } = new float[maxTokenCount * config.KvHeadCount * config.HeadDim];

    public Memory<float> Value { get; } = new float[maxTokenCount * config.KvHeadCount * config.HeadDim];

    public Memory<float> Gate { get; } = new float[maxTokenCount * config.IntermediateSize];

    public Memory<float> Up { get; } = new float[maxTokenCount * config.IntermediateSize];

    public Memory<float> Logits { get; } = new float[maxTokenCount * config.VocabSize];
}
