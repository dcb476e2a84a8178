namespace LpLlm.Memory;

/// <summary>A pool's rented bytes crossed its watermark. The first is a rise; rises and falls come strictly in turn.</summary>
/// <param name="PoolName">Name of the pool.</param>
/// <param name="Kind">Which way.</param>
/// <param name="WatermarkBytes">The watermark, as configured.</param>
/// <param name="LimitBytes">The limit above it, as configured.</param>
public readonly record struct WatermarkEvent(string PoolName, WatermarkKind Kind, long WatermarkBytes, long LimitBytes);
