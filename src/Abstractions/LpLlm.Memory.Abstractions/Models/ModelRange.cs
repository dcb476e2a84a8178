namespace LpLlm.Memory;

/// <summary>A range of a model's data and its place in a buffer.</summary>
internal readonly record struct ModelRange(long SourceOffset, long TargetOffset, long LengthBytes);
