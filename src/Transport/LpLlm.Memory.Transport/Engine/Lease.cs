namespace LpLlm.Memory.Transport.Engine;

/// <summary>An ordered list of segments and the sessions that hold it. Guarded by the engine's lock.</summary>
internal sealed class Lease(ulong id, Token token, string name, SessionOptions owner, long created)
{
    public ulong Id { get; } = id;

    public Token Token { get; } = token;

    public string Name { get; } = name;

    /// <summary>Who opened it.</summary>
    public SessionOptions Owner { get; } = owner;

    public long Created { get; } = created;

    public HashSet<PoolSession> Holders { get; } = [];

    public List<SegmentSlot> Slots { get; } = [];

    /// <summary>Segments that were part of it and are not yet reusable.</summary>
    public HashSet<SegmentSlot> Quarantined { get; } = [];

    /// <summary>Growths that wait or are being made.</summary>
    public HashSet<LeaseRequest> Growths { get; } = [];

    /// <summary>Why it was taken away, or null.</summary>
    public string? RevokeReason { get; set; }

    public long LengthBytes => Slots.Sum(slot => slot.LengthBytes);

    public LeaseState State => this switch
    {
        { Holders.Count: 0 } => LeaseState.Quarantined,
        { RevokeReason: not null } => LeaseState.Revoked,
        _ => Holders.Any(holder => holder.Connections > 0) ? LeaseState.Leased : LeaseState.Detached,
    };
}
