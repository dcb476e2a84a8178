using System.Buffers;

namespace LpLlm.Memory.Attention;

/// <summary>Writes the new keys and values of one row and KV head, where they are not there yet, behind those its sequence has.</summary>
internal static unsafe class KvAppend
{
    public static void Run(AttnBatch batch, int rowIndex, int head)
    {
        // Only what is stored in 16 bits in the source is widened on its way; a head of up to 65,536 elements is too long for the stack.
        var scratch = ArrayPool<float>.Shared.Rent(batch.Layout.Shape.HeadDim);
        try
        {
            fixed (float* start = scratch)
            {
                Run(batch, rowIndex, head, batch.Key, batch.Layout.KeyOffset(batch.Layer, head), start);
                Run(batch, rowIndex, head, batch.Value, batch.Layout.ValueOffset(batch.Layer, head), start);
            }
        }
        finally
        {
            ArrayPool<float>.Shared.Return(scratch);
        }
    }

    private static void Run(AttnBatch batch, int rowIndex, int head, TypedPointer source, long offset, float* scratch)
    {
        if (source.Address == 0)
        {
            return;
        }

        var layout = batch.Layout;
        var shape = layout.Shape;
        var (sequence, firstToken, tokenCount) = batch.Rows[rowIndex];
        var length = sequence.GetLength(batch.Layer);
        var pages = sequence.PageAddresses;
        for (var token = 0; token < tokenCount; token++)
        {
            var (page, slot) = Math.DivRem(length + token, layout.PageTokens);
            var target = (byte*)pages[page] + (nint)slot * layout.TokenBytes + offset;
            var element = ((nint)(firstToken + token) * shape.KvHeadCount + head) * shape.HeadDim;
            KvCodec.Encode(source.Load(element, shape.HeadDim, scratch), target, shape.HeadDim, shape.ElementType);
        }
    }
}
