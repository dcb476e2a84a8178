using LpLlm.Memory.Transport.Engine;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>What a <c>client_id</c> of the storage contract has: one lease of one segment, the processes that use it, and its chunks.</summary>
/// <remarks>All members are guarded by <see cref="Gate"/>.</remarks>
/// <param name="key">Clients of different users are different clients, whatever they call themselves.</param>
/// <param name="gate">One call of a client at a time.</param>
internal sealed class StorageClient((uint? UserId, string ClientId) key, SemaphoreSlim gate)
{
    public (uint? UserId, string ClientId) Key { get; } = key;

    public SemaphoreSlim Gate { get; } = gate;

    /// <summary>By process number; 0 for connections of processes that cannot be watched.</summary>
    public Dictionary<int, StorageHolder> Holders { get; } = [];

    /// <summary>The length that was asked for, in MiB; 0 as long as there is no lease.</summary>
    public int SizeMb { get; set; }

    public long SizeBytes => (long)SizeMb << 20;

    public ulong LeaseId { get; set; }

    public Token LeaseToken { get; set; }

    public Segment? Segment { get; set; }

    /// <summary>The server's chunk, or all of the client's memory where that is less.</summary>
    public int ChunkBytes { get; set; }

    public ChunkSet Chunks { get; set; } = new(0);

    /// <summary>Gone from the table: whoever waited at the gate must look it up again.</summary>
    public bool IsRemoved { get; set; }
}
