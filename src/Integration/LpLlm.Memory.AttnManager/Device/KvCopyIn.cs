namespace LpLlm.Memory.Attention;

/// <summary>Copies new keys, or values, from <c>[tokens, KV heads, head dimension]</c> on the device straight into their pages.</summary>
/// <remarks>
/// In a page the tokens of one head lie together, on the device the heads of one token do. So a piece of n tokens and h heads within a page
/// is n copies of h rows (one per token) or h copies of n rows (one per head), whichever is fewer: a decode step is one copy a sequence,
/// a full page of 16 tokens and 8 heads is 8.
/// </remarks>
internal static class KvCopyIn
{
    /// <param name="stream">Where the copies are enqueued.</param>
    /// <param name="step">What is attended; its pages are reserved.</param>
    /// <param name="source">First byte on the device.</param>
    /// <param name="offset">Where the layer's first head begins in a page.</param>
    public static void Enqueue(IDeviceStream stream, AttnStep step, nint source, long offset)
    {
        var layout = step.Layout;
        foreach (var (sequence, firstToken, tokenCount) in step.Rows)
        {
            var length = sequence.GetLength(step.Layer);
            for (var done = 0; done < tokenCount;)
            {
                var (page, slot) = Math.DivRem(length + done, layout.PageTokens);
                var count = Math.Min(layout.PageTokens - slot, tokenCount - done);
                EnqueuePiece(
                    stream, layout, source + (nint)(firstToken + done) * layout.Shape.KvHeadCount * layout.TokenBytes,
                    sequence.PageAddresses[page] + (nint)offset + (nint)slot * layout.TokenBytes, count);
                done += count;
            }
        }
    }

    private static void EnqueuePiece(IDeviceStream stream, KvLayout layout, nint source, nint target, int tokens)
    {
        var heads = layout.Shape.KvHeadCount;
        long token = layout.TokenBytes, tokenOnDevice = heads * token, headOnHost = layout.BlockBytes;
        if (tokens <= heads)
        {
            for (var i = 0; i < tokens; i++)
            {
                stream.CopyToHost(source + (nint)(i * tokenOnDevice), token, target + (nint)(i * token), headOnHost, token, heads);
            }

            return;
        }

        for (var head = 0; head < heads; head++)
        {
            stream.CopyToHost(source + (nint)(head * token), tokenOnDevice, target + (nint)(head * headOnHost), token, token, tokens);
        }
    }
}
