namespace LpLlm.Memory.Transport.Engine;

/// <summary>Where a lease is in its life.</summary>
internal enum LeaseState
{
    /// <summary>Held by at least one connected client.</summary>
    Leased,

    /// <summary>Its clients have lost their connections, but none is known to be dead.</summary>
    Detached,

    /// <summary>Taken away; its clients have not let go yet.</summary>
    Revoked,

    /// <summary>Nobody's, but not yet reusable.</summary>
    Quarantined,
}
