using System.Numerics.Tensors;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Numerics;

namespace LpLlm.Memory.Samples.Generate.Llama;

/// <summary>One decoder layer: attention through the manager, then SwiGLU, each added to the residual stream.</summary>
internal sealed class DecoderLayer(LlamaConfig config, LayerWeights weights, int index, IAttnManager attention)
{
    public async Task ForwardAsync(LlamaSession session, int tokenCount, CancellationToken cancellationToken)
    {
        var buffers = session.Buffers;
        var hidden = buffers.Hidden[..(tokenCount * config.HiddenSize)];
        var normed = buffers.Normed[..hidden.Length];
        var update = buffers.Update[..hidden.Length];

        RmsNorm.Apply(hidden.Span, weights.InputNorm, config.RmsNormEps, normed.Span);
        using (var attended = await AttendAsync(session, normed, tokenCount, cancellationToken))
        {
            Linear.Multiply(attended.AsMemory(), tokenCount, weights.Output, update);
        }

        TensorPrimitives.Add(hidden.Span, update.Span, hidden.Span);
        RmsNorm.Apply(hidden.Span, weights.PostAttentionNorm, config.RmsNormEps, normed.Span);
        FeedForward(buffers, normed, tokenCount, update);
        TensorPrimitives.Add(hidden.Span, update.Span, hidden.Span);
    }

    private Task<PinnedTensor<float>> AttendAsync(
        LlamaSession session, ReadOnlyMemory<float> normed, int tokenCount, CancellationToken cancellationToken)
    {
        var query = session.Buffers.Query[..(tokenCount * config.HeadCount * config.HeadDim)];
        var key = session.Buffers.Key[..(tokenCount * config.KvHeadCount * config.HeadDim)];
        var value = session.Buffers.Value[..key.Length];
        Linear.Multiply(normed, tokenCount, weights.Query, query);
        Linear.Multiply(normed, tokenCount, weights.Key, key);
        Linear.Multiply(normed, tokenCount, weights.Value, value);
        session.Rotary.Apply(query.Span, config.HeadCount);
        session.Rotary.Apply(key.Span, config.KvHeadCount);
        var request = new AttnRequest
        {
            Layer = index,
            QueryHeadCount = config.HeadCount,
            Rows = [new AttnRow(session.Sequence, tokenCount)],
            Query = query,
            Key = key,
            Value = value,
        };
        return attention.SubmitAsync(request, cancellationToken);
    }

    private void FeedForward(Activations buffers, ReadOnlyMemory<float> normed, int tokenCount, Memory<float> update)
    {
        var gate = buffers.Gate[..(tokenCount * config.IntermediateSize)];
        var up = buffers.Up[..gate.Length];
        Linear.Multiply(normed, tokenCount, weights.Gate, gate);
        Linear.Multiply(normed, tokenCount, weights.Up, up);
        TensorPrimitives.Multiply(gate.Span, up.Span, up.Span);
        TensorPrimitives.Sigmoid(gate.Span, gate.Span);
        TensorPrimitives.Multiply(gate.Span, up.Span, gate.Span); // silu(gate) * up = sigmoid(gate) * gate * up
        Linear.Multiply(gate, tokenCount, weights.Down, update);
    }
}
