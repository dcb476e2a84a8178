using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Server;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>A process that uses a storage client's memory; or, where processes cannot be watched, all connections that do.</summary>
internal sealed class StorageHolder(PoolSession session)
{
    public PoolSession Session { get; } = session;

    /// <summary>Keeps the memory mapped in this process. Null until there is a lease.</summary>
    public LeaseGrant? Grant { get; set; }

    /// <summary>Signs of life of a holder whose process is not watched.</summary>
    public HashSet<GrpcConnection> Connections { get; } = [];
}
