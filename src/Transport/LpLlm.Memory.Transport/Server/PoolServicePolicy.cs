namespace LpLlm.Memory.Transport.Server;

/// <summary>Whom the server lets in, and what it tells clients at hello.</summary>
internal sealed record PoolServicePolicy
{
    /// <summary>Users that may connect beside root and the server's own; empty: nobody else. Peers whose user is unknown are the listener's affair.</summary>
    public IReadOnlySet<uint> AllowedUsers { get; init; } = new HashSet<uint>();

    /// <summary>The server's own user: it and root may list, inspect and revoke everything.</summary>
    public uint OwnUserId { get; init; }

    /// <summary>How often clients give a sign of life.</summary>
    public TimeSpan RenewInterval { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>The listeners' limit: lists that are longer are cut.</summary>
    public int MaxMessageBytes { get; init; } = new PoolTransportLimits().MaxMessageBytes;
}
