namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    /// <summary>
    /// Keeps segments as they are while a device copies from or to them, whatever becomes of the lease and its client meanwhile: what is released,
    /// or left by a process that was killed, is cleared and reused only after the copy.
    /// </summary>
    /// <param name="session">Who wants the copy; it must use the segments now.</param>
    /// <param name="leaseId">A lease that the session holds.</param>
    /// <param name="ranges">At least one.</param>
    /// <param name="areWritten">Whether the device writes to them; a model that the session has open is only read.</param>
    /// <exception cref="PoolFaultException">The lease or a segment is not the session's, or a range is not within its segment.</exception>
    public SegmentHold Hold(PoolSession session, ulong leaseId, IReadOnlyList<SegmentRange> ranges, bool areWritten) => Change(_ =>
    {
        RequireUnsynchronized(session);
        var lease = RequireLeaseUnsynchronized(session, leaseId);
        if (areWritten && IsOthersModel(lease, session))
        {
            throw new PoolFaultException(PoolFaultCode.PermissionDenied, $"Lease {leaseId} is a model, which others read: copy into a lease of your own.");
        }

        var slots = lease.Slots.Where(slot => slot.Users.Contains(session)).ToDictionary(slot => slot.Id);
        var held = new List<SegmentSlot>(ranges.Count);
        foreach (var range in ranges)
        {
            var slot = slots.GetValueOrDefault(range.SegmentId) ?? throw EngineFaults.NotFound("segment");
            if (range.OffsetBytes < 0 || range.LengthBytes < 1 || range.LengthBytes > slot.LengthBytes || range.OffsetBytes > slot.LengthBytes - range.LengthBytes)
            {
                throw EngineFaults.Invalid(
                    $"A range of {range.LengthBytes} B at {range.OffsetBytes} is not within segment {range.SegmentId}, which has {slot.LengthBytes} B.");
            }

            held.Add(slot);
        }

        var distinct = held.Distinct().ToList();
        distinct.ForEach(slot => slot.Copies++);
        _operations++;
        return new SegmentHold([.. held.Select(slot => slot.Segment)], () => EndCopy(distinct));
    });

    private void EndCopy(List<SegmentSlot> slots) => Change(after =>
    {
        foreach (var slot in slots)
        {
            slot.Copies--;
            if (slot.State == SlotState.Quarantined)
            {
                SettleUnsynchronized(slot, after);
            }
        }

        EndOperationUnsynchronized(after);
        PumpUnsynchronized(after);
    });
}
