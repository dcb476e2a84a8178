namespace LpLlm.Memory.Pooling;

/// <summary>How far opening a pool has come.</summary>
internal readonly record struct PinProgress(long ReadyBytes, long TotalBytes);
