using System.Numerics.Tensors;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Llama;

namespace LpLlm.Memory.Samples.Generate.Generation;

/// <summary>Measures how well the model predicts a text.</summary>
internal sealed class Scorer(LlamaModel model, KvElementType kvElementType)
{
    /// <summary>The mean negative log likelihood of bytes 1 to n - 1, each given all bytes before it, in nats per byte.</summary>
    /// <exception cref="RefusedTextException">The text has fewer than 2 bytes or more than the model has positions.</exception>
    public async Task<double> ScoreAsync(ReadOnlyMemory<byte> text, CancellationToken cancellationToken)
    {
        CheckLength(text.Length);
        using var session = model.StartSession(kvElementType);
        var inputs = text[..^1];
        var nats = 0.0;
        for (var start = 0; start < inputs.Length; start += LlamaSession.MaxBlockTokens)
        {
            var block = inputs.Slice(start, Math.Min(LlamaSession.MaxBlockTokens, inputs.Length - start));
            var logits = await model.ForwardAsync(session, block, LogitsOf.EveryToken, cancellationToken);
            nats += SumOfLosses(logits.Span, text.Span.Slice(start + 1, block.Length));
        }

        return nats / inputs.Length;
    }

    public void CheckLength(long lengthBytes)
    {
        if (lengthBytes < 2 || lengthBytes > model.Config.MaxPositions)
        {
            throw new RefusedTextException(
                $"The text to score has {lengthBytes} bytes; 2 to {model.Config.MaxPositions} (max_position_embeddings) can be scored.");
        }
    }

    private static double SumOfLosses(ReadOnlySpan<float> logits, ReadOnlySpan<byte> targets)
    {
        var vocabSize = logits.Length / targets.Length;
        var sum = 0.0;
        for (var i = 0; i < targets.Length; i++)
        {
            var row = logits.Slice(i * vocabSize, vocabSize);
            var max = TensorPrimitives.Max(row); // keeps the largest exponent at 0
            var total = 0.0;
            foreach (var logit in row)
            {
                total += Math.Exp(logit - max);
            }

            sum += max + Math.Log(total) - row[targets[i]];
        }

        return sum;
    }
}
