using System.Runtime.ExceptionServices;

namespace LpLlm.Memory.Transport.Engine;

internal sealed partial class PoolEngine
{
    // A system without memory is not asked again and again.
    private static readonly TimeSpan WarmBackOff = TimeSpan.FromSeconds(5);

    private bool _keepsWarm;
    private bool _isWarming;
    private long _warmRetry = long.MaxValue;

    /// <summary>
    /// Makes the first warm segment, so that a limit that allows none shows, and the others in the background: less what clients present that
    /// have survived a restart.
    /// </summary>
    /// <exception cref="MemorySourceException">Not even one can be had now. It is tried again all the same, unless the engine is disposed.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var failure = Change(_ => TryPromiseWarmUnsynchronized()) ? await MakeWarmAsync(cancellationToken).ConfigureAwait(false) : null;
        Change(after =>
        {
            _keepsWarm = true;
            if (failure is null)
            {
                ReplenishUnsynchronized(after);
            }
            else
            {
                BackOffUnsynchronized();
            }
        });
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    private void BackOffUnsynchronized()
    {
        _warmRetry = _clock.After(WarmBackOff);
        ArmUnsynchronized(_warmRetry);
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
                    BackOffUnsynchronized();
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
            || SegmentSizes.Exceeds(_inventory.ChargedBytes, Settings.SegmentBytes, Settings.CapacityBytes)
            || SegmentSizes.Exceeds(_inventory.ChargedBytes - _shares.ModelBytes, Settings.SegmentBytes, Settings.MaxPoolBytes))
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
}
