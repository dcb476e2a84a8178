namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>What the storage contract's clients are told of the server, where it is not what the engine has. Both are positive.</summary>
internal sealed record StorageSettings
{
    /// <summary><c>mem_pool_size</c>, in bytes. Null: the engine's capacity.</summary>
    public long? PoolBytes { get; init; }

    /// <summary><c>chunk_size</c>, in bytes: what <c>AllocateFromPool</c> gives a multiple of. Null: the engine's standard segment. At most 1 GiB counts.</summary>
    public long? ChunkBytes { get; init; }
}
