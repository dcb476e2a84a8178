namespace LpLlm.Memory.Models;

/// <summary>A copy of a model that a client wants to have in its device memory, as it came: nothing is checked.</summary>
/// <param name="Model">The model's path.</param>
/// <param name="Replica">The client's name for the copy.</param>
/// <param name="Chunks">What goes where, by the device's UUID.</param>
/// <param name="Handles">The client's allocations, as handles that other processes can open, by the device's UUID.</param>
internal sealed record ReplicaRequest(
    string Model,
    string Replica,
    IReadOnlyDictionary<string, IReadOnlyList<ReplicaChunk>> Chunks,
    IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> Handles);
