namespace LpLlm.Memory.Attention;

/// <summary>What can be wrong with a request before any sequence is touched.</summary>
internal static class AttnRequestCheck
{
    /// <summary>Checks a request and gives its rows in a form that the caller can no longer change.</summary>
    /// <exception cref="ArgumentException">Something does not fit; the message has the values.</exception>
    public static AttnJobRow[] Check(AttnRequest request, AttnManager manager)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(request.Rows, nameof(request));
        var rows = CheckRows([.. request.Rows], manager, out var tokens);
        var shape = rows[0].Sequence.Cache.Shape;
        if (request.Layer < 0 || request.Layer >= shape.LayerCount)
        {
            throw Bad($"Layer = {request.Layer} is not one of the cache's {shape.LayerCount} layers.");
        }

        if (request.QueryHeadCount < 1 || request.QueryHeadCount % shape.KvHeadCount != 0)
        {
            throw Bad($"QueryHeadCount = {request.QueryHeadCount} is not a multiple of the cache's {shape.KvHeadCount} KV heads.");
        }

        if (request.Scale is { } scale && !float.IsFinite(scale))
        {
            throw Bad($"Scale = {scale} is not finite.");
        }

        CheckLength(nameof(request.Query), request.Query.Length, tokens, request.QueryHeadCount, shape.HeadDim);
        CheckLength(nameof(request.Key), request.Key.Length, tokens, shape.KvHeadCount, shape.HeadDim);
        CheckLength(nameof(request.Value), request.Value.Length, tokens, shape.KvHeadCount, shape.HeadDim);
        return rows;
    }

    private static AttnJobRow[] CheckRows(AttnRow[] given, AttnManager manager, out long tokens)
    {
        if (given.Length == 0)
        {
            throw Bad("Rows is empty; a request has at least one row.");
        }

        var rows = new AttnJobRow[given.Length];
        var seen = new HashSet<KvSequence>(given.Length);
        tokens = 0;
        for (var i = 0; i < given.Length; i++)
        {
            var (sequence, count) = given[i];
            if (sequence is not KvSequence own || own.Cache is not KvCache cache || !cache.BelongsTo(manager))
            {
                throw Bad(sequence is null ? $"Rows[{i}] has no sequence." : $"The sequence of Rows[{i}] is another manager's.");
            }

            if (i > 0 && !ReferenceEquals(cache, rows[0].Sequence.Cache))
            {
                throw Bad($"The sequence of Rows[{i}] is of another cache than that of Rows[0]; send one request per cache.");
            }

            if (!seen.Add(own))
            {
                throw Bad($"The sequence of Rows[{i}] is named twice; a request has each sequence once.");
            }

            if (count < 1 || count > int.MaxValue - tokens)
            {
                throw Bad($"Rows[{i}].TokenCount = {count} is below 1, or makes more than {int.MaxValue} tokens with the rows before it.");
            }

            rows[i] = new AttnJobRow(own, (int)tokens, count);
            tokens += count;
        }

        return rows;
    }

    private static void CheckLength(string name, int length, long tokens, int heads, int headDim)
    {
        // Three factors below 2^31 each: their product needs up to 93 bits.
        var expected = (Int128)tokens * heads * headDim;
        if (length != expected)
        {
            throw Bad($"{name} has {length} elements; {tokens} tokens * {heads} heads * head dimension {headDim} are {expected}.");
        }
    }

    private static ArgumentException Bad(string message, string parameter = "request") => new(message, parameter);
}
