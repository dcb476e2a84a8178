namespace LpLlm.Memory.Transport.Engine;

/// <summary>All segments and the bytes they take. Guarded by the engine's lock.</summary>
internal sealed class SegmentInventory(long segmentBytes)
{
    private readonly HashSet<SegmentSlot> _slots = [];
    private readonly LinkedList<SegmentSlot> _idle = [];
    private readonly Dictionary<ulong, SegmentSlot> _byInode = [];

    public IReadOnlyCollection<SegmentSlot> Slots => _slots;

    /// <summary>Segments but those that are being discarded.</summary>
    public int OpenCount { get; private set; }

    public long LeasedBytes { get; private set; }

    public long PeakLeasedBytes { get; private set; }

    public long IdleBytes { get; private set; }

    /// <summary>Idle standard segments that no other process ever had: anybody can have them at once.</summary>
    public long FreshBytes { get; private set; }

    /// <summary>Reserved, in quarantine, being zeroed or discarded.</summary>
    public long TransientBytes { get; private set; }

    /// <summary>Promised to segments that are being made.</summary>
    public long MakingBytes { get; private set; }

    /// <summary>Not freed by the system when they should have been; gone until the process ends.</summary>
    public long LostBytes { get; private set; }

    public long PendingBytes => TransientBytes + MakingBytes + LostBytes;

    public long ChargedBytes => LeasedBytes + IdleBytes + PendingBytes;

    public void Promise(long bytes) => MakingBytes += bytes;

    public void Refund(long bytes) => MakingBytes -= bytes;

    public void Lose(long bytes) => LostBytes += bytes;

    public SegmentSlot Add(Segment segment, SlotState state)
    {
        var slot = new SegmentSlot(segment) { State = state };
        _slots.Add(slot);
        _byInode[segment.Inode] = slot;
        Count(slot, 1);
        return slot;
    }

    public void Remove(SegmentSlot slot)
    {
        Count(slot, -1);
        _slots.Remove(slot);
        if (_byInode.TryGetValue(slot.Segment.Inode, out var known) && known == slot)
        {
            _byInode.Remove(slot.Segment.Inode);
        }
    }

    public void Move(SegmentSlot slot, SlotState state)
    {
        Count(slot, -1);
        slot.State = state;
        Count(slot, 1);
    }

    public SegmentSlot? FindInode(ulong inode) => _byInode.GetValueOrDefault(inode);

    /// <summary>
    /// Idle segments for a request: whole standard ones, and for what is left one of just that length. Those that only this session's user can
    /// have go first, so that the others stay for everybody. At most as many as the lease may still get, with one for the rest.
    /// </summary>
    public List<SegmentSlot> Select(PoolSession session, long lengthBytes, bool isSingle, int maxSegments)
    {
        var selected = new List<SegmentSlot>();
        var left = lengthBytes;
        if (!isSingle)
        {
            foreach (var slot in Usable(session, segmentBytes))
            {
                if (left < segmentBytes || (selected.Count >= maxSegments - 1 && left != segmentBytes))
                {
                    break;
                }

                selected.Add(slot);
                left -= segmentBytes;
            }
        }

        if (left > 0 && Usable(session, left).Except(selected).FirstOrDefault() is { } exact)
        {
            selected.Add(exact);
        }

        return selected;
    }

    /// <summary>Idle segments that make that much room, or null if all together do not: odd lengths first, those that everybody can use last.</summary>
    public List<SegmentSlot>? SelectVictims(long bytes, IReadOnlyCollection<SegmentSlot> spared)
    {
        if (bytes <= 0)
        {
            return [];
        }

        if (bytes > IdleBytes - spared.Sum(slot => slot.LengthBytes))
        {
            return null;
        }

        var victims = new List<SegmentSlot>();
        foreach (var slot in _idle.Except(spared).OrderBy(slot => slot.WasExposed ? 1 : 2).OrderBy(slot => slot.LengthBytes == segmentBytes))
        {
            if (bytes <= 0)
            {
                break;
            }

            victims.Add(slot);
            bytes -= slot.LengthBytes;
        }

        return victims;
    }

    /// <summary>By how much the capacity is exceeded: by restored memory, which is never refused. What is being discarded goes without further ado.</summary>
    public long OverBytes(long capacityBytes) => LeasedBytes + IdleBytes + MakingBytes + LostBytes - capacityBytes;

    /// <summary>Idle segments that have to go because there is that much too much.</summary>
    public List<SegmentSlot> SelectOver(long overBytes) => overBytes <= 0 ? [] : SelectVictims(Math.Min(overBytes, IdleBytes), [])!;

    private IEnumerable<SegmentSlot> Usable(PoolSession session, long lengthBytes) =>
        _idle.Where(slot => slot.LengthBytes == lengthBytes && slot.WasExposed && slot.IsFor(session))
            .Concat(_idle.Where(slot => slot.LengthBytes == lengthBytes && !slot.WasExposed && slot.IsFor(session)));

    private void Count(SegmentSlot slot, int sign)
    {
        var bytes = sign * slot.LengthBytes;
        OpenCount += slot.State == SlotState.Discarding ? 0 : sign;
        switch (slot.State)
        {
            case SlotState.Leased:
                LeasedBytes += bytes;
                PeakLeasedBytes = Math.Max(PeakLeasedBytes, LeasedBytes);
                break;
            case SlotState.Idle:
                IdleBytes += bytes;
                FreshBytes += slot.WasExposed || slot.LengthBytes != segmentBytes ? 0 : bytes;
                if (sign > 0)
                {
                    slot.IdleNode = _idle.AddLast(slot);
                }
                else
                {
                    _idle.Remove(slot.IdleNode!);
                    slot.IdleNode = null;
                }

                break;
            default:
                TransientBytes += bytes;
                break;
        }
    }
}
