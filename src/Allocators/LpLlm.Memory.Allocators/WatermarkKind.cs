namespace LpLlm.Memory;

/// <summary>Which way a watermark was crossed.</summary>
public enum WatermarkKind
{
    /// <summary>More bytes are rented than the watermark.</summary>
    Risen,

    /// <summary>The rented bytes are down at 95 % of the watermark, or less.</summary>
    Fallen,
}
