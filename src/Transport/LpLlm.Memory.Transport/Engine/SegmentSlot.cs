namespace LpLlm.Memory.Transport.Engine;

/// <summary>A segment as the engine knows it: who uses it, and who could still touch it. Guarded by the engine's lock.</summary>
internal sealed class SegmentSlot(Segment segment)
{
    public Segment Segment { get; } = segment;

    public long LengthBytes { get; } = segment.LengthBytes;

    public SlotState State { get; set; }

    /// <summary>Its id in the lease it is in; 0 in none.</summary>
    public ulong Id { get; set; }

    /// <summary>The lease it is in, or was in until its quarantine ends.</summary>
    public Lease? Lease { get; set; }

    /// <summary>Sessions that use it now: it goes back when there is none.</summary>
    public HashSet<PoolSession> Users { get; } = [];

    /// <summary>The request that brought it into its lease, as long as that request's session uses it.</summary>
    public LeaseRequest? GrantedBy { get; set; }

    /// <summary>The user by whose quota it counts.</summary>
    public PoolSession? Payer { get; set; }

    /// <summary>Sessions that ever got its descriptor and are not proven gone: they could still write to it.</summary>
    public HashSet<PoolSession> Exposed { get; } = [];

    /// <summary>Whether another process ever got its descriptor.</summary>
    public bool WasExposed { get; set; }

    /// <summary>Whose processes got it.</summary>
    public uint? UserId { get; set; }

    /// <summary>A process that is not known to be gone may be using it in good faith: it is never reused, and its pages are left alone.</summary>
    public bool IsTainted { get; set; }

    /// <summary>Somebody other than the model store has had it: its seals are final, and it can no longer be made read-only.</summary>
    public bool IsSealed { get; set; }

    /// <summary>Holds a model that was given to others: nobody can write to it any more, so it is never used again.</summary>
    public bool IsReadOnly { get; set; }

    /// <summary>Something was able to write to it since it was last overwritten with zeros.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Not cleared or discarded before this timestamp.</summary>
    public long QuarantineEnd { get; set; } = long.MinValue;

    /// <summary>Grants on their way that need its descriptor open.</summary>
    public int Pins { get; set; }

    /// <summary>Copies of a device that the server makes from or to it: it is neither cleared nor discarded before they are over.</summary>
    public int Copies { get; set; }

    /// <summary>While it is discarded: the request that its bytes are for.</summary>
    public LeaseRequest? Beneficiary { get; set; }

    /// <summary>Its place among the idle ones.</summary>
    public LinkedListNode<SegmentSlot>? IdleNode { get; set; }

    /// <summary>Whether zeros are enough to give it to this session: nobody else can touch it, and no other user ever could.</summary>
    public bool IsFor(PoolSession session)
    {
        if (!WasExposed || session.Options.HoldsModels)
        {
            return !WasExposed && !(IsSealed && session.Options.HoldsModels);
        }

        return Exposed.Count switch
        {
            0 => UserId is { } user && session.Options.UserId == user,
            1 => Exposed.Contains(session),
            _ => false,
        };
    }

    /// <summary>A session gets its descriptor. In this very process nothing leaves our hands, so nothing needs to be proven later.</summary>
    public void Expose(PoolSession session)
    {
        IsDirty = true;
        IsSealed |= !session.Options.HoldsModels;
        if (session.Options.IsThisProcess)
        {
            return;
        }

        WasExposed = true;
        UserId = session.Options.UserId;
        Exposed.Add(session);
        session.Exposures.Add(this);
    }
}
