namespace LpLlm.Memory.Attention;

/// <summary>Walks over a block of tokens in pieces that each lie in one page.</summary>
internal unsafe ref struct PageCursor(KvLayout layout, KvSequence sequence, int firstToken, int tokenCount)
{
    private readonly ReadOnlySpan<nint> _pages = sequence.PageAddresses;

    /// <summary>First token of the piece, counted from the block's start.</summary>
    public int Start { get; private set; }

    /// <summary>Tokens of the piece.</summary>
    public int Count { get; private set; }

    public bool MoveNext()
    {
        Start += Count;
        Count = Math.Min(layout.PageTokens - (firstToken + Start) % layout.PageTokens, tokenCount - Start);
        return Count > 0;
    }

    public void Reset() => Start = Count = 0;

    /// <summary>The piece's keys or values of a layer and head as float32.</summary>
    /// <param name="offset">Where the layer's and head's block begins in a page.</param>
    /// <param name="scratch">Takes the piece if it is stored in 16 bits.</param>
    public readonly float* Load(long offset, float* scratch)
    {
        var (page, slot) = Math.DivRem(firstToken + Start, layout.PageTokens);
        var source = (byte*)_pages[page] + offset + (nint)slot * layout.TokenBytes;
        return KvCodec.Decode(source, Count * layout.Shape.HeadDim, layout.Shape.ElementType, scratch);
    }
}
