namespace LpLlm.Memory.Transport.Engine;

/// <summary>Leases by id and by token. Guarded by the engine's lock.</summary>
internal sealed class LeaseTable
{
    private readonly Dictionary<ulong, Lease> _byId = [];
    private readonly Dictionary<Token, Lease> _byToken = [];

    /// <summary>Those that somebody holds, and those of which segments are in quarantine.</summary>
    public IReadOnlyCollection<Lease> All => _byId.Values;

    public int HeldCount => _byToken.Count;

    public void Add(Lease lease)
    {
        _byId.Add(lease.Id, lease);
        _byToken.Add(lease.Token, lease);
    }

    public Lease? Find(ulong id) => _byId.GetValueOrDefault(id);

    /// <summary>Only leases that somebody holds: the token of others has ended with them.</summary>
    public Lease? Find(Token token) => _byToken.GetValueOrDefault(token);

    /// <summary>Drops what is over: the token with the last holder, the rest with the last segment in quarantine.</summary>
    public void Settle(Lease lease)
    {
        if (lease.Holders.Count > 0)
        {
            return;
        }

        if (_byToken.GetValueOrDefault(lease.Token) == lease)
        {
            _byToken.Remove(lease.Token);
        }

        if (lease.Quarantined.Count == 0)
        {
            _byId.Remove(lease.Id);
        }
    }
}
