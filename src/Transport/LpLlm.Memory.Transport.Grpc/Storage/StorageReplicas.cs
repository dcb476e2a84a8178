using LpLlm.Memory.Models;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>Turns the contract's messages about device memory into the server's terms.</summary>
internal static class StorageReplicas
{
    public static ReplicaRequest Request(LoadModelRequest request) => new(
        request.ModelPath,
        request.ReplicaUuid,
        request.Chunks.ToDictionary(
            device => device.Key,
            IReadOnlyList<ReplicaChunk> (device) =>
                [.. device.Value.Chunks.Select(chunk => new ReplicaChunk(chunk.SrcOffset, chunk.Size, chunk.DstOffset, chunk.HandleIdx))]),
        request.Handles.ToDictionary(
            device => device.Key,
            IReadOnlyList<ReadOnlyMemory<byte>> (device) => [.. device.Value.Handles.Select(handle => handle.CudaIpcHandle.Memory)]));
}
