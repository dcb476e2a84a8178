namespace LpLlm.Memory.Models;

/// <summary>A range of a model's data and its place in device memory, as a client sent it: not checked.</summary>
/// <param name="SourceOffset">First byte in the model's data.</param>
/// <param name="LengthBytes">Bytes to copy; none is allowed, for a tensor without elements.</param>
/// <param name="TargetOffset">First byte in the allocation.</param>
/// <param name="Handle">Which of the device's allocations.</param>
internal readonly record struct ReplicaChunk(ulong SourceOffset, ulong LengthBytes, ulong TargetOffset, ulong Handle);
