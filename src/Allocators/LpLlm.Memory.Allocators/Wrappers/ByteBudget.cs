using LpLlm.Memory.Pooling;

namespace LpLlm.Memory.Wrappers;

/// <summary>
/// The accounts of a limit: live, pending and tentative bytes, which together never exceed it. A rent reserves tentatively, asks the
/// pool, then commits or cancels.
/// </summary>
/// <remarks>
/// <para>
/// Never above the limit: bytes are reserved before the pool is asked, and released after the pool has them back; both under the gate.
/// </para>
/// <para>
/// Never refuses what fits: <see cref="Reserve"/> is refused only when, under the gate, live + pending + request exceed the limit. A request
/// that only tentative bytes stand in the way of is undecided, and waits until these are committed or cancelled. While one is
/// undecided nobody else reserves, except in line behind it; so the first in line waits for calls that had begun before it and
/// no others, and once the last of these has ended nothing is tentative: it is granted or truly does not fit. (An adaptor that adds
/// first and rolls back refuses requests because of bytes that nobody ever got.)
/// </para>
/// <para>
/// Synchronous calls end by themselves. Asynchronous ones may stand in the pool's queue for long, holding what they reserved: when a
/// request becomes undecided they are told to give it back, and must not go there while <see cref="HasUndecided"/>.
/// </para>
/// </remarks>
/// <param name="limitBytes">The limit.</param>
/// <param name="watermark">Is told of every change, if there is one.</param>
/// <param name="changed">Called without the gate when there may be room.</param>
/// <param name="yield">Called without the gate when rents that wait elsewhere must give back what they reserved.</param>
internal sealed class ByteBudget(long limitBytes, Watermark? watermark, Action changed, Action yield)
{
    /// <summary>A call of the pool that lasts longer is taken for one that will succeed: no wait is without an end.</summary>
    private static readonly TimeSpan OutcomeTimeout = TimeSpan.FromSeconds(30);

    private readonly LinkedList<UndecidedRent> _undecided = [];
    private SpinGate _gate;
    private long _live;
    private long _pending;
    private long _tentative;
    private long _peak;

    /// <summary>Whether a rent waits for the outcome of others.</summary>
    public bool HasUndecided
    {
        get
        {
            _gate.Enter();
            try
            {
                return _undecided.Count > 0;
            }
            finally
            {
                _gate.Exit();
            }
        }
    }

    /// <summary>Reserves, or refuses what truly does not fit. May wait for the outcome of others' rents.</summary>
    public bool Reserve(long lengthBytes)
    {
        if (Decide(lengthBytes) is { } decision)
        {
            return decision;
        }

        var rent = StandInLine(lengthBytes);
        if (!rent.WhenDecided.Wait(OutcomeTimeout))
        {
            Withdraw(rent);
        }

        return rent.IsGranted;
    }

    /// <summary>As <see cref="Reserve"/>, without holding a thread.</summary>
    public async ValueTask<bool> ReserveAsync(long lengthBytes, CancellationToken cancellationToken)
    {
        if (Decide(lengthBytes) is { } decision)
        {
            return decision;
        }

        var rent = StandInLine(lengthBytes);
        try
        {
            await rent.WhenDecided.WaitAsync(OutcomeTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Withdraw(rent);
        }
        catch (OperationCanceledException)
        {
            Withdraw(rent);
            if (rent.IsGranted)
            {
                Cancel(lengthBytes); // it was decided meanwhile
            }

            throw;
        }

        return rent.IsGranted;
    }

    /// <summary>Reserves what fits beside everything tentative; never waits.</summary>
    public bool TryReserve(long lengthBytes)
    {
        _gate.Enter();
        try
        {
            return _undecided.Count == 0 && DecideUnsynchronized(lengthBytes, isFirst: true) == true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>The pool gave what was reserved.</summary>
    public void Commit(long lengthBytes) => Change(live: lengthBytes, pending: 0, tentative: -lengthBytes);

    /// <summary>The pool did not give what was reserved.</summary>
    public void Cancel(long lengthBytes) => Change(live: 0, pending: 0, tentative: -lengthBytes);

    /// <summary>A lease is back in the pool.</summary>
    public void Release(long lengthBytes) => Change(live: -lengthBytes, pending: 0, tentative: 0);

    /// <summary>A lease was returned behind a fence.</summary>
    public void Suspend(long lengthBytes) => Change(live: -lengthBytes, pending: lengthBytes, tentative: 0);

    /// <summary>The fence of a suspended lease has completed.</summary>
    public void ReleaseSuspended(long lengthBytes) => Change(live: 0, pending: -lengthBytes, tentative: 0);

    /// <summary>Live and pending bytes now, and the highest sum of both so far.</summary>
    public (long Live, long Pending, long Peak) Read()
    {
        _gate.Enter();
        try
        {
            return (_live, _pending, _peak);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Change(long live, long pending, long tentative)
    {
        bool crossed;
        List<UndecidedRent>? decided;
        _gate.Enter();
        try
        {
            _live += live;
            _pending += pending;
            _tentative += tentative;
            _peak = Math.Max(_peak, _live + _pending);
            crossed = watermark?.ObserveUnsynchronized(_live + _pending) == true;
            decided = _undecided.Count == 0 ? null : DecideAllUnsynchronized();
        }
        finally
        {
            _gate.Exit();
        }

        decided?.ForEach(rent => rent.Announce());
        if (crossed)
        {
            watermark!.Report();
        }

        changed();
    }

    /// <summary>Grants (and reserves), refuses, or answers null: it hangs on the outcome of others.</summary>
    private bool? DecideUnsynchronized(long lengthBytes, bool isFirst)
    {
        var roomBytes = limitBytes - _live - _pending;
        if (lengthBytes > roomBytes)
        {
            return false;
        }

        if (!isFirst || lengthBytes > roomBytes - _tentative)
        {
            return null;
        }

        _tentative += lengthBytes;
        return true;
    }

    private List<UndecidedRent> DecideAllUnsynchronized()
    {
        var decided = new List<UndecidedRent>();
        for (var place = _undecided.First; place is not null;)
        {
            var next = place.Next;
            var rent = place.Value;
            if (DecideUnsynchronized(rent.LengthBytes, isFirst: place == _undecided.First) is { } decision)
            {
                _undecided.Remove(place);
                rent.IsGranted = decision;
                decided.Add(rent);
            }

            place = next;
        }

        return decided;
    }

    private bool? Decide(long lengthBytes)
    {
        _gate.Enter();
        try
        {
            return DecideUnsynchronized(lengthBytes, isFirst: _undecided.Count == 0);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Decides what can be decided by now; all else stands in line when this returns.</summary>
    private UndecidedRent StandInLine(long lengthBytes)
    {
        var rent = new UndecidedRent(lengthBytes);
        bool first;
        _gate.Enter();
        try
        {
            if (DecideUnsynchronized(lengthBytes, isFirst: _undecided.Count == 0) is { } decision)
            {
                rent.IsGranted = decision;
                rent.Announce();
                return rent;
            }

            first = _undecided.Count == 0;
            _undecided.AddLast(rent.Place);
        }
        finally
        {
            _gate.Exit();
        }

        if (first)
        {
            yield();
        }

        return rent;
    }

    private void Withdraw(UndecidedRent rent)
    {
        _gate.Enter();
        try
        {
            if (rent.Place.List is not null)
            {
                _undecided.Remove(rent.Place);
            }
        }
        finally
        {
            _gate.Exit();
        }

        Change(live: 0, pending: 0, tentative: 0); // whoever stood behind it
    }
}
