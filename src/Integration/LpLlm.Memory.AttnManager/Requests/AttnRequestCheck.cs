namespace LpLlm.Memory.Attention;

/// <summary>What can be wrong with a request before any sequence is touched.</summary>
internal static class AttnRequestCheck
{
    /// <summary>2^56 elements are 2^58 bytes: three such tensors are still a length.</summary>
    private const long MaxElements = 1L << 56;

    /// <summary>Checks a request and gives what it attends in a form that the caller can no longer change.</summary>
    /// <exception cref="ArgumentException">Something does not fit; the message has the values.</exception>
    public static AttnStep Check(AttnRequest request, AttnManager manager)
    {
        ArgumentNullException.ThrowIfNull(request);
        var step = CheckStep(request.Rows, request.Layer, request.QueryHeadCount, request.Scale, manager);
        CheckLength(nameof(request.Query), request.Query.Length, step, step.QueryHeadCount);
        CheckLength(nameof(request.Key), request.Key.Length, step, step.Layout.Shape.KvHeadCount);
        CheckLength(nameof(request.Value), request.Value.Length, step, step.Layout.Shape.KvHeadCount);
        return step;
    }

    /// <summary>The same for tensors on a device.</summary>
    /// <exception cref="ArgumentException">Something does not fit; the message has the values.</exception>
    /// <exception cref="InvalidOperationException">The manager has no device.</exception>
    public static AttnStep Check(AttnDeviceRequest request, AttnManager manager)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (manager.Device is null)
        {
            throw new InvalidOperationException(
                "Device = 'cpu' takes requests on host memory only; set Device to the name of the device where the tensors lie.");
        }

        var step = CheckStep(request.Rows, request.Layer, request.QueryHeadCount, request.Scale, manager);
        CheckTensor(nameof(request.Query), request.Query, step, step.QueryHeadCount);
        CheckTensor(nameof(request.Key), request.Key, step, step.Layout.Shape.KvHeadCount);
        CheckTensor(nameof(request.Value), request.Value, step, step.Layout.Shape.KvHeadCount);
        CheckTensor(nameof(request.Result), request.Result, step, step.QueryHeadCount);
        return step;
    }

    private static AttnStep CheckStep(IReadOnlyList<AttnRow> given, int layer, int queryHeads, float? factor, AttnManager manager)
    {
        ArgumentNullException.ThrowIfNull(given, "request");
        var rows = CheckRows([.. given], manager);
        var shape = rows[0].Sequence.Cache.Shape;
        if (layer < 0 || layer >= shape.LayerCount)
        {
            throw Bad($"Layer = {layer} is not one of the cache's {shape.LayerCount} layers.");
        }

        if (queryHeads < 1 || queryHeads % shape.KvHeadCount != 0)
        {
            throw Bad($"QueryHeadCount = {queryHeads} is not a multiple of the cache's {shape.KvHeadCount} KV heads.");
        }

        if (factor is { } scale && !float.IsFinite(scale))
        {
            throw Bad($"Scale = {scale} is not finite.");
        }

        return new AttnStep(layer, queryHeads, factor, rows);
    }

    private static AttnJobRow[] CheckRows(AttnRow[] given, AttnManager manager)
    {
        if (given.Length == 0)
        {
            throw Bad("Rows is empty; a request has at least one row.");
        }

        var rows = new AttnJobRow[given.Length];
        var seen = new HashSet<KvSequence>(given.Length);
        long tokens = 0;
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

    private static void CheckTensor(string name, AttnDeviceTensor tensor, AttnStep step, int heads)
    {
        CheckLength(name, tensor.ElementCount, step, heads);
        if (tensor.Address == 0)
        {
            throw Bad($"{name} has no address.");
        }

        if (!Enum.IsDefined(tensor.ElementType))
        {
            throw Bad($"{name} has ElementType = {tensor.ElementType}, not one of {string.Join(", ", Enum.GetNames<KvElementType>())}.");
        }

        // Sizes in bytes are taken from here on.
        if (tensor.ElementCount > MaxElements)
        {
            throw Bad($"{name} has {tensor.ElementCount} elements, more than {MaxElements}; send fewer tokens.");
        }
    }

    private static void CheckLength(string name, long length, AttnStep step, int heads)
    {
        // Three factors below 2^31 each: their product needs up to 93 bits.
        var (tokens, headDim) = (step.TokenCount, step.Layout.Shape.HeadDim);
        var expected = (Int128)tokens * heads * headDim;
        if (length != expected)
        {
            throw Bad($"{name} has {length} elements; {tokens} tokens * {heads} heads * head dimension {headDim} are {expected}.");
        }
    }

    private static ArgumentException Bad(string message, string parameter = "request") => new(message, parameter);
}
