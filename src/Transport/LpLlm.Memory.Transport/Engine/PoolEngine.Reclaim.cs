namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    private void Unpin(List<SegmentSlot> slots) => Change(after =>
    {
        foreach (var slot in slots)
        {
            slot.Pins--;
            if (slot.State == SlotState.Quarantined)
            {
                SettleUnsynchronized(slot, after);
            }
        }

        PumpUnsynchronized(after);
    });

    private void EndQuarantinesUnsynchronized(Deferred after)
    {
        foreach (var slot in _inventory.Slots.Where(slot => slot.State == SlotState.Quarantined).ToList())
        {
            SettleUnsynchronized(slot, after);
        }
    }

    /// <summary>Something was learned about who can touch it.</summary>
    private void ReconsiderUnsynchronized(SegmentSlot slot, Deferred after)
    {
        if (slot.State is SlotState.Idle or SlotState.Quarantined)
        {
            SettleUnsynchronized(slot, after);
        }
    }

    /// <summary>
    /// Decides about a segment that nobody uses. It is reused only if nobody but its next user can touch it: processes that had it are proven
    /// gone (then for the same user), or it goes back to the one session that had it. Else it is discarded, and made anew when it is needed.
    /// </summary>
    private void SettleUnsynchronized(SegmentSlot slot, Deferred after)
    {
        _inventory.Move(slot, SlotState.Quarantined);
        if (slot.Copies > 0)
        {
            // A device reads or writes it; the end of its copies comes back here.
        }
        else if (_isDisposed)
        {
            DiscardUnsynchronized(slot, freesPages: false, after);
        }
        else if (slot.Pins > 0)
        {
            // A reply with its descriptor is on its way; the grant's disposal comes back here.
        }
        else if (slot.QuarantineEnd > _clock.Now)
        {
            ArmUnsynchronized(slot.QuarantineEnd);
        }
        else if (slot.IsTainted || slot.IsReadOnly)
        {
            DiscardUnsynchronized(slot, freesPages: false, after);
        }
        else if (!IsReusable(slot))
        {
            DiscardUnsynchronized(slot, freesPages: true, after);
        }
        else if (slot.IsDirty)
        {
            LeaveUnsynchronized(slot);
            _inventory.Move(slot, SlotState.Clearing);
            slot.IsDirty = false;
            _operations++;
            after.Add(() => _ = ClearAsync(slot));
        }
        else
        {
            LeaveUnsynchronized(slot);
            _inventory.Move(slot, SlotState.Idle);
        }
    }

    private static bool IsReusable(SegmentSlot slot) => slot.Exposed.Count switch
    {
        0 => !slot.WasExposed || slot.UserId is not null,
        1 => !slot.Exposed.First().HasEnded,
        _ => false,
    };

    /// <summary>Its lease's quarantine is over.</summary>
    private void LeaveUnsynchronized(SegmentSlot slot)
    {
        slot.Id = 0;
        if (slot.Lease is { } lease)
        {
            slot.Lease = null;
            lease.Quarantined.Remove(slot);
            _leases.Settle(lease);
        }
    }

    private async Task ClearAsync(SegmentSlot slot)
    {
        Exception? failure = null;
        try
        {
            await slot.Segment.ClearAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        Change(after =>
        {
            EndOperationUnsynchronized(after);
            if (failure is null)
            {
                SettleUnsynchronized(slot, after);
            }
            else
            {
                after.Add(() =>
                {
                    if (failure is MemorySourceException refusal)
                    {
                        TransportLog.ClearRefused(_logger, slot.LengthBytes, refusal.Message);
                    }
                    else
                    {
                        TransportLog.ClearFailed(_logger, failure, slot.LengthBytes);
                    }
                });
                DiscardUnsynchronized(slot, freesPages: true, after);
            }

            PumpUnsynchronized(after);
        });
    }

    private void DiscardUnsynchronized(SegmentSlot slot, bool freesPages, Deferred after)
    {
        LeaveUnsynchronized(slot);
        _inventory.Move(slot, SlotState.Discarding);
        foreach (var session in slot.Exposed)
        {
            session.Exposures.Remove(slot);
            SignalIfOverUnsynchronized(session, after);
        }

        _events.Add("discarded", 0, slot.LengthBytes, freesPages ? "Its pages were freed." : "Its pages are left to their last holder.");
        _operations++;
        after.Add(() => _ = DiscardAsync(slot, freesPages));
    }

    private async Task DiscardAsync(SegmentSlot slot, bool freesPages)
    {
        Exception? failure = null;
        try
        {
            await slot.Segment.DiscardAsync(freesPages).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        Change(after => FinishDiscardUnsynchronized(slot, failure, after));
    }

    private void FinishDiscardUnsynchronized(SegmentSlot slot, Exception? failure, Deferred after)
    {
        EndOperationUnsynchronized(after);
        _inventory.Remove(slot);
        var request = slot.Beneficiary is { State: RequestState.Making, MissingBytes: > 0 } beneficiary ? beneficiary : null;
        if (failure is not null)
        {
            _inventory.Lose(slot.LengthBytes);
            after.Add(() => TransportLog.DiscardFailed(_logger, failure, slot.LengthBytes));
            if (request is not null)
            {
                EndRequestUnsynchronized(request, failure, after);
            }
        }
        else if (request is not null)
        {
            var given = Math.Min(slot.LengthBytes, request.MissingBytes);
            request.MissingBytes -= given;
            _inventory.Promise(given);
            AdvanceUnsynchronized(request, after);
        }

        PumpUnsynchronized(after);
    }
}
