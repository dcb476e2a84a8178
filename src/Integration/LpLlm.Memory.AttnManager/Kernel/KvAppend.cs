namespace LpLlm.Memory.Attention;

/// <summary>Writes the new keys and values of one row and KV head behind those its sequence has.</summary>
internal static unsafe class KvAppend
{
    public static void Run(AttnBatch batch, int rowIndex, int head)
    {
        var layout = batch.Layout;
        var shape = layout.Shape;
        var (sequence, firstToken, tokenCount) = batch.Rows[rowIndex];
        var length = sequence.GetLength(batch.Layer);
        var pages = sequence.PageAddresses;
        var keyOffset = layout.KeyOffset(batch.Layer, head);
        var valueOffset = layout.ValueOffset(batch.Layer, head);
        for (var token = 0; token < tokenCount; token++)
        {
            var (page, slot) = Math.DivRem(length + token, layout.PageTokens);
            var target = (byte*)pages[page] + (nint)slot * layout.TokenBytes;
            var source = ((nint)(firstToken + token) * shape.KvHeadCount + head) * shape.HeadDim;
            KvCodec.Encode(batch.Key + source, target + keyOffset, shape.HeadDim, shape.ElementType);
            KvCodec.Encode(batch.Value + source, target + valueOffset, shape.HeadDim, shape.ElementType);
        }
    }
}
