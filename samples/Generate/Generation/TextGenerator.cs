using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using LpLlm.Memory.Attention;
using LpLlm.Memory.Samples.Generate.Llama;

namespace LpLlm.Memory.Samples.Generate.Generation;

/// <summary>Continues a text greedily: each byte is the likeliest one.</summary>
internal sealed class TextGenerator(LlamaModel model, KvElementType kvElementType)
{
    /// <summary>Streams the bytes that follow a prompt.</summary>
    /// <exception cref="RefusedTextException">The prompt is empty, or it and the new bytes exceed the model's positions.</exception>
    public async IAsyncEnumerable<byte> GenerateAsync(
        ReadOnlyMemory<byte> prompt, int maxNewTokens, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Check(prompt.Length, maxNewTokens);
        using var session = model.StartSession(kvElementType);
        var logits = await PrefillAsync(session, prompt, cancellationToken);
        var token = new byte[1];
        for (var made = 1; ; made++)
        {
            token[0] = (byte)TensorPrimitives.IndexOfMax(logits.Span);
            yield return token[0];
            if (made == maxNewTokens)
            {
                yield break;
            }

            logits = await model.ForwardAsync(session, token, LogitsOf.LastToken, cancellationToken);
        }
    }

    /// <summary>Takes a prompt in blocks.</summary>
    /// <returns>The logits behind its last byte.</returns>
    public async Task<ReadOnlyMemory<float>> PrefillAsync(
        LlamaSession session, ReadOnlyMemory<byte> prompt, CancellationToken cancellationToken)
    {
        while (prompt.Length > LlamaSession.MaxBlockTokens)
        {
            await model.ForwardAsync(session, prompt[..LlamaSession.MaxBlockTokens], LogitsOf.LastToken, cancellationToken);
            prompt = prompt[LlamaSession.MaxBlockTokens..];
        }

        return await model.ForwardAsync(session, prompt, LogitsOf.LastToken, cancellationToken);
    }

    private void Check(int promptLength, int maxNewTokens)
    {
        var most = model.Config.MaxPositions;
        if (promptLength == 0)
        {
            throw new RefusedTextException("The prompt is empty; the model predicts a byte from those before it, so give at least one.");
        }

        if (promptLength >= most)
        {
            throw new RefusedTextException(
                $"The prompt has {promptLength} bytes and the model {most} positions (max_position_embeddings): give at most {most - 1} bytes.");
        }

        if (maxNewTokens > most - promptLength)
        {
            throw new RefusedTextException(
                $"The prompt's {promptLength} bytes and {maxNewTokens} new ones exceed the model's {most} positions "
                + $"(max_position_embeddings): ask for at most {most - promptLength} with --max-new-tokens.");
        }
    }
}
