namespace LpLlm.Memory.TestKit.Replay;

/// <summary>Keeps threads that replay a trace in an order that needs no more memory than the trace did.</summary>
/// <remarks>
/// A rent waits for all returns before it in the trace, a return for its own rent. So what is out at any time is part of what was out
/// in the trace when the latest rent was made, and a rent that fails here though not there fails because of where blocks lie, never because
/// one thread ran ahead of another. The earliest event that is not done can always go on: there is no deadlock.
/// </remarks>
internal sealed class ReplayOrder
{
    private readonly long[] _nextReturns;
    private readonly PinnedLease?[] _leases;
    private readonly bool[] _rented;
    private readonly CancellationToken _stop;

    /// <param name="parts">The events of each replaying thread.</param>
    /// <param name="leases">Leases in the trace.</param>
    /// <param name="stop">Ends every wait: another thread failed.</param>
    public ReplayOrder(IReadOnlyList<ReplayPart> parts, int leases, CancellationToken stop)
    {
        _nextReturns = [.. parts.Select(part => part.NextReturnAt(0))];
        _leases = new PinnedLease?[leases + 1];
        _rented = new bool[leases + 1];
        _stop = stop;
    }

    /// <summary>Waits until all returns before an event are done.</summary>
    /// <param name="sequence">The event.</param>
    /// <param name="doneUpTo">Returns before that are known to be done.</param>
    /// <returns>The new <paramref name="doneUpTo"/>.</returns>
    public long AwaitReturnsBefore(long sequence, long doneUpTo)
    {
        var spinner = default(SpinWait);
        while (doneUpTo < sequence)
        {
            doneUpTo = long.MaxValue;
            for (var i = 0; i < _nextReturns.Length; i++)
            {
                doneUpTo = Math.Min(doneUpTo, Volatile.Read(ref _nextReturns[i]));
            }

            if (doneUpTo < sequence)
            {
                Wait(ref spinner);
            }
        }

        return doneUpTo;
    }

    /// <summary>Waits for the rent of a lease; null when that failed.</summary>
    /// <param name="lease">The lease's number.</param>
    public PinnedLease? Take(int lease)
    {
        var spinner = default(SpinWait);
        while (!Volatile.Read(ref _rented[lease]))
        {
            Wait(ref spinner);
        }

        var taken = _leases[lease];
        _leases[lease] = null;
        return taken;
    }

    /// <summary>Hands a lease to whichever thread returns it.</summary>
    /// <param name="lease">The lease's number.</param>
    /// <param name="rented">The lease, or null when the rent failed.</param>
    public void Put(int lease, PinnedLease? rented)
    {
        _leases[lease] = rented;
        Volatile.Write(ref _rented[lease], true);
    }

    /// <summary>A thread has done a return.</summary>
    /// <param name="part">The thread's index.</param>
    /// <param name="nextReturn">The sequence number of its next one.</param>
    public void Returned(int part, long nextReturn) => Volatile.Write(ref _nextReturns[part], nextReturn);

    /// <summary>Returns what the trace never returned.</summary>
    public void ReturnRest()
    {
        foreach (var lease in _leases)
        {
            lease?.Dispose();
        }
    }

    private void Wait(ref SpinWait spinner)
    {
        _stop.ThrowIfCancellationRequested();
        spinner.SpinOnce(sleep1Threshold: -1);
    }
}
