using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Numerics;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>One text in the making: its KV cache and the buffers of its forward passes. Disposing returns the cache's pages.</summary>
internal sealed class LlamaSession : IDisposable
{
    /// <summary>
    /// Tokens of one forward pass; a longer text goes through in several. Bounds the buffers (kjv-tiny: 2.8 MiB) and the
    /// pool memory of one attention result, while a weight row is still widened only once per 256 tokens.
    /// </summary>
    public const int MaxBlockTokens = 256;

    private readonly IKvCache _cache;

    public LlamaSession(LlamaConfig config, IAttnManager attention, KvElementType elementType)
    {
        Buffers = new Activations(config, MaxBlockTokens);
        Rotary = new RotaryEmbedding(config.HeadDim, config.RopeTheta, MaxBlockTokens);
        _cache = attention.CreateCache(new KvCacheShape
        {
            LayerCount = config.LayerCount,
            KvHeadCount = config.KvHeadCount,
            HeadDim = config.HeadDim,
            ElementType = elementType,
        });
        Sequence = _cache.CreateSequence();
    }

    public Activations Buffers { get; }

    public RotaryEmbedding Rotary { get; }

    public IKvSequence Sequence { get; }

    /// <summary>Tokens so far.</summary>
    public int Position { get; set; }

    public void Dispose() => _cache.Dispose(); // and with it the sequence
}
