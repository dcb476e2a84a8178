namespace LpLlm.Memory.Models;

/// <summary>One device's part of a request that was checked as far as it can be before the handles are open.</summary>
internal sealed record ReplicaTarget(IMemoryDevice Device, IReadOnlyList<ReplicaChunk> Chunks, IReadOnlyList<ReadOnlyMemory<byte>> Handles);
