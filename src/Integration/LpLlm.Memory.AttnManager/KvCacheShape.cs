namespace LpLlm.Memory.Attention;

/// <summary>The dimensions of a model's keys and values.</summary>
public sealed record KvCacheShape
{
    /// <summary>Decoder layers, at least 1.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Key/value heads, at least 1; query heads must be a multiple of it.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>Elements of a head, 1 to 65,536.</summary>
    public required int HeadDim { get; init; }

    /// <summary>How keys and values are stored. Arithmetic is float32 in any case. Default float32.</summary>
    public KvElementType ElementType { get; init; }
}
