using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // A system without memory is not asked again and again.
    private static readonly TimeSpan WarmBackOff = TimeSpan.FromSeconds(5);

    private bool _keepsWarm;
    private bool _isWarming;
    private long _warmRetry = long.MaxValue;

    /// <summary>Makes the warm segments.</summary>
    /// <exception cref="MemorySourceException">The memory cannot be had; nothing is kept.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (Change(_ => TryPromiseWarmUnsynchronized()))
            {
                if (await MakeWarmAsync(cancellationToken).ConfigureAwait(false) is { } failure)
                {
                    ExceptionDispatchInfo.Throw(failure);
                }
            }

            Change(_ => _keepsWarm = true);
        }
        catch
        {
            await DiscardIdleAsync().ConfigureAwait(false);
            throw;
        }
    }

    private void ReplenishUnsynchronized(Deferred after)
    {
        if (_keepsWarm && !_isWarming && _drainGrace is null && _warmRetry == long.MaxValue && TryPromiseWarmUnsynchronized())
        {
            _isWarming = true;
            after.Add(() => _ = ReplenishAsync());
        }
        else if (_warmRetry <= _clock.Now)
        {
            _warmRetry = long.MaxValue;
            ReplenishUnsynchronized(after);
        }
    }

    /// <summary>One at a time, and only while nobody waits: it must not take the room of those who ask.</summary>
    private async Task ReplenishAsync()
    {
        bool goesOn;
        do
        {
            var failure = await MakeWarmAsync(_lifetime.Token).ConfigureAwait(false);
            goesOn = Change(after =>
            {
                if (failure is not null)
                {
                    _warmRetry = _clock.After(WarmBackOff);
                    ArmUnsynchronized(_warmRetry);
                }

                PumpUnsynchronized(after);
                return _isWarming = failure is null && _drainGrace is null && _queue.Count == 0 && TryPromiseWarmUnsynchronized();
            });
        }
        while (goesOn);
    }

    private bool TryPromiseWarmUnsynchronized()
    {
        if (_isDisposed
            || SegmentSizes.Exceeds(_inventory.FreshBytes, Settings.SegmentBytes, Settings.WarmBytes)
            || SegmentsFreeUnsynchronized() < 1
            || SegmentSizes.Exceeds(_inventory.ChargedBytes, Settings.SegmentBytes, Settings.CapacityBytes))
        {
            return false;
        }

        _inventory.Promise(Settings.SegmentBytes);
        _makingSegments++;
        _operations++;
        return true;
    }

    private async Task<Exception?> MakeWarmAsync(CancellationToken cancellationToken)
    {
        Segment? made = null;
        Exception? failure = null;
        try
        {
            made = await _source.CreateAsync(Settings.SegmentBytes, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        Change(after =>
        {
            EndOperationUnsynchronized(after);
            _inventory.Refund(Settings.SegmentBytes);
            _makingSegments--;
            if (made is not null)
            {
                SettleUnsynchronized(_inventory.Add(made, SlotState.Reserved), after);
            }
            else
            {
                CountCreateFailureUnsynchronized(Settings.SegmentBytes, failure!, after);
            }
        });
        return failure;
    }

    private async Task DiscardIdleAsync()
    {
        var idle = Change(_ => _inventory.Slots.Where(slot => slot.State == SlotState.Idle).ToList());
        foreach (var slot in idle)
        {
            var isStill = Change(_ =>
            {
                if (slot.State != SlotState.Idle)
                {
                    return false;
                }

                _inventory.Move(slot, SlotState.Discarding);
                _operations++;
                return true;
            });
            if (isStill)
            {
                await DiscardAsync(slot, freesPages: true).ConfigureAwait(false);
            }
        }
    }
}
