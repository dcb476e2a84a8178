using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Numerics;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>The forward pass: bytes in, logits out. Weights are the model store's memory, the KV cache is the pool's, arithmetic is float32.</summary>
internal sealed class LlamaModel(LlamaConfig config, LlamaWeights weights, IAttnManager attention)
{
    private readonly DecoderLayer[] _layers =
        [.. weights.Layers.Select((layer, index) => new DecoderLayer(config, layer, index, attention))];

    public LlamaConfig Config => config;

    public LlamaSession StartSession(KvElementType kvElementType) => new(config, attention, kvElementType);

    /// <summary>Appends one block of tokens to the text.</summary>
    /// <param name="session">The text so far; unusable after a failure.</param>
    /// <param name="tokens">1 to <see cref="LlamaSession.MaxBlockTokens"/> bytes.</param>
    /// <param name="logitsOf">Which tokens' predictions to compute.</param>
    /// <param name="cancellationToken">Stops between layers.</param>
    /// <returns><c>[1 or tokens, vocabulary]</c>, in a buffer of the session that the next call overwrites.</returns>
    public async Task<ReadOnlyMemory<float>> ForwardAsync(
        LlamaSession session, ReadOnlyMemory<byte> tokens, LogitsOf logitsOf, CancellationToken cancellationToken)
    {
        var hidden = session.Buffers.Hidden[..(tokens.Length * config.HiddenSize)];
        Embed(tokens.Span, hidden.Span);
        session.Rotary.SetPositions(session.Position, tokens.Length);
        foreach (var layer in _layers)
        {
            await layer.ForwardAsync(session, tokens.Length, cancellationToken);
        }

        session.Position += tokens.Length;
        return Predict(session.Buffers, logitsOf == LogitsOf.EveryToken ? hidden : hidden[^config.HiddenSize..]);
    }

    private void Embed(ReadOnlySpan<byte> tokens, Span<float> hidden)
    {
        var table = weights.Embedding.AsSpan();
        for (var i = 0; i < tokens.Length; i++)
        {
            WeightRow.Widen(
                table.Slice(tokens[i] * config.HiddenSize, config.HiddenSize), hidden.Slice(i * config.HiddenSize, config.HiddenSize));
        }
    }

    private Memory<float> Predict(Activations buffers, ReadOnlyMemory<float> hidden)
    {
        var tokenCount = hidden.Length / config.HiddenSize;
        var normed = buffers.Normed[..hidden.Length];
        var logits = buffers.Logits[..(tokenCount * config.VocabSize)];
        RmsNorm.Apply(hidden.Span, weights.FinalNorm, config.RmsNormEps, normed.Span);
        Linear.Multiply(normed, tokenCount, weights.Head, logits);
        return logits;
    }
}
