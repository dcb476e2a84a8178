using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>What the storage contract's clients are told of the server, where it is not what the engine has. Both are positive.</summary>
internal sealed record StorageSettings
{
    /// <summary><c>mem_pool_size</c>, in bytes: what models may take. Null: what the engine lets them take.</summary>
    public long? PoolBytes { get; init; }

    /// <summary><c>chunk_size</c>, in bytes: what <c>AllocateFromPool</c> gives a multiple of. Null: the engine's standard segment. At most 1 GiB counts.</summary>
    public long? ChunkBytes { get; init; }

    /// <summary>As set, or the standard segment; the contract has 32 bits for it.</summary>
    public int ChunkBytesOf(PoolEngineSettings engine) => (int)Math.Min(ChunkBytes ?? engine.SegmentBytes, 1 << 30);
}
