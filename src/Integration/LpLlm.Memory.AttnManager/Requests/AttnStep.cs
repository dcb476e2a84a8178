namespace LpLlm.Memory.Attention;

/// <summary>What a checked request attends, wherever its tensors lie. The caller can no longer change it.</summary>
/// <param name="Layer">Layer index.</param>
/// <param name="QueryHeadCount">Query heads.</param>
/// <param name="Scale">Factor on the scores; null for the usual one.</param>
/// <param name="Rows">At least one, all of one cache.</param>
internal sealed record AttnStep(int Layer, int QueryHeadCount, float? Scale, AttnJobRow[] Rows)
{
    public int TokenCount => Rows[^1].FirstToken + Rows[^1].TokenCount;

    public KvLayout Layout => ((KvCache)Rows[0].Sequence.Cache).Layout;

    public long QueryElements => (long)TokenCount * QueryHeadCount * Layout.Shape.HeadDim;

    /// <summary>Elements of the new keys, and of the new values.</summary>
    public long KeyElements => (long)TokenCount * Layout.Shape.KvHeadCount * Layout.Shape.HeadDim;

    /// <summary>Claims the sequences of all rows, or of none.</summary>
    public void Claim()
    {
        var claimed = 0;
        try
        {
            foreach (var row in Rows)
            {
                row.Sequence.Claim();
                claimed++;
            }
        }
        finally
        {
            if (claimed < Rows.Length)
            {
                Release(Rows.AsSpan(0, claimed), copies: null);
            }
        }
    }

    /// <summary>The request's turn has come: every page it needs is rented. On failure <see cref="Release(IFence?)"/> gives them back.</summary>
    public void Begin()
    {
        foreach (var row in Rows)
        {
            row.Sequence.Begin();
        }

        foreach (var row in Rows)
        {
            row.Sequence.Reserve(Layer, row.TokenCount);
        }
    }

    public void Commit()
    {
        foreach (var row in Rows)
        {
            row.Sequence.Commit(Layer, row.TokenCount);
        }
    }

    public void Release(IFence? copies = null) => Release(Rows, copies);

    private static void Release(ReadOnlySpan<AttnJobRow> rows, IFence? copies)
    {
        foreach (var row in rows)
        {
            row.Sequence.Release(copies);
        }
    }
}
