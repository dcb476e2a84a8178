namespace LpLlm.Memory.Transport.Engine;

/// <summary>An acquisition or growth, from its arrival to the end of its lease. Guarded by the engine's lock.</summary>
internal sealed class LeaseRequest(PoolSession session, AcquireOptions options, long lengthBytes, bool isGrowth, Lease? lease, long sequence, long deadline)
    : IComparable<LeaseRequest>
{
    public PoolSession Session { get; } = session;

    public AcquireOptions Options { get; } = options;

    /// <summary>Rounded up.</summary>
    public long LengthBytes { get; } = lengthBytes;

    public bool IsGrowth { get; } = isGrowth;

    /// <summary>The lease that grows, or that was granted.</summary>
    public Lease? Lease { get; set; } = lease;

    /// <summary>Order of arrival.</summary>
    public long Sequence { get; } = sequence;

    /// <summary>Refused then, unless it has its room.</summary>
    public long Deadline { get; set; } = deadline;

    /// <summary>When it first was in front without room and held others back.</summary>
    public long? FrontSince { get; set; }

    public RequestState State { get; set; }

    public List<RequestCall> Calls { get; } = [];

    /// <summary>The segments picked for it, until it is granted.</summary>
    public List<SegmentSlot> Slots { get; } = [];

    /// <summary>How many of the segments it was granted its session still uses: counted, because a shrink must not search all growths of a lease.</summary>
    public int LiveCount { get; set; }

    /// <summary>What its session still uses of what it was granted.</summary>
    public IEnumerable<SegmentSlot> LiveSlots => Lease!.Slots.Where(slot => slot.GrantedBy == this);

    /// <summary>Bytes of the segment that is to be made for it; 0 for none.</summary>
    public long MakingBytes { get; set; }

    /// <summary>Part of <see cref="MakingBytes"/> that it waits for, from segments that are being discarded for it.</summary>
    public long MissingBytes { get; set; }

    public bool IsCreating { get; set; }

    public CancellationTokenSource Cancellation { get; } = new();

    public int CompareTo(LeaseRequest? other) => other is null
        ? 1
        : (-(int)Options.Priority, Sequence).CompareTo((-(int)other.Options.Priority, other.Sequence));
}
