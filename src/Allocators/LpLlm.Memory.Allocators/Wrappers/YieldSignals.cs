namespace LpLlm.Memory.Wrappers;

/// <summary>
/// Keeps asynchronous rents in order of priority between the line for the budget and the line in the pool. A rent is <em>outside</em> until it
/// stands in the pool's line, and none goes inside while one of higher priority is outside. Who must stand in line makes the lower
/// ones inside come out again, and give back what they hold: one signal for each priority.
/// </summary>
/// <remarks>
/// Nothing is missed: whoever a signal calls out counts as outside from that instant, before it has noticed; and a rent takes its token
/// first and looks for higher ones then.
/// </remarks>
/// <param name="wentInside">Called without the lock when the last rent of a priority has ended or gone inside: lower ones may go there now.</param>
internal sealed class YieldSignals(Action wentInside)
{
    private readonly Lock _gate = new();

    // Low, normal, high. Not disposed: they own nothing without a wait handle, and late rents still ask them.
    private readonly CancellationTokenSource[] _signals = [new(), new(), new()];
    private readonly int[] _outside = new int[3];
    private readonly int[] _inside = new int[3];

    public CancellationToken TokenFor(RentPriority priority)
    {
        lock (_gate)
        {
            return _signals[Index(priority)].Token;
        }
    }

    /// <summary>A rent begins, outside.</summary>
    public void Begin(RentPriority priority)
    {
        lock (_gate)
        {
            _outside[Index(priority)]++;
        }
    }

    /// <summary>A rent that is outside ends.</summary>
    public void End(RentPriority priority)
    {
        bool last;
        lock (_gate)
        {
            last = --_outside[Index(priority)] == 0;
        }

        if (last)
        {
            wentInside();
        }
    }

    /// <summary>Whether a rent of higher priority is outside.</summary>
    public bool IsHigherOutside(RentPriority priority)
    {
        lock (_gate)
        {
            return _outside.AsSpan(Index(priority) + 1).ContainsAnyExcept(0);
        }
    }

    /// <summary>A rent stands in the pool's line now; false when it was called out meanwhile, and stays outside.</summary>
    /// <param name="priority">Its priority.</param>
    /// <param name="token">The token it took before it went.</param>
    public bool TryGoInside(RentPriority priority, CancellationToken token)
    {
        bool last;
        lock (_gate)
        {
            var index = Index(priority);
            if (_signals[index].Token != token)
            {
                return false;
            }

            last = --_outside[index] == 0;
            _inside[index]++;
        }

        if (last)
        {
            wentInside();
        }

        return true;
    }

    /// <summary>A rent comes out of the pool's line, with a lease or without.</summary>
    /// <param name="priority">Its priority.</param>
    /// <param name="token">The token it took before it went inside.</param>
    public void ComeOut(RentPriority priority, CancellationToken token)
    {
        lock (_gate)
        {
            var index = Index(priority);
            if (_signals[index].Token == token)
            {
                _inside[index]--;
                _outside[index]++;
            }
        }
    }

    /// <summary>Calls out all of lower priority.</summary>
    public void CallOutBelow(RentPriority priority) => CallOut(Index(priority));

    /// <summary>Calls out all.</summary>
    public void CallOutAll() => CallOut(_signals.Length);

    private static int Index(RentPriority priority) => (int)priority + 1;

    private void CallOut(int below)
    {
        for (var index = 0; index < below; index++)
        {
            CancellationTokenSource signal;
            lock (_gate)
            {
                if (_inside[index] == 0 && _outside[index] == 0)
                {
                    continue; // nobody who could hold the token
                }

                (signal, _signals[index]) = (_signals[index], new CancellationTokenSource());
                _outside[index] += _inside[index];
                _inside[index] = 0;
            }

            signal.Cancel();
        }
    }
}
