namespace LpLlm.Memory.Wrappers;

/// <summary>
/// Tells asynchronous rents that wait in an inner pool, holding what somebody else is waiting for, to give it back and stand in line again: one
/// signal for each priority.
/// </summary>
/// <remarks>
/// No signal is missed: a rent takes its token first and then looks whether anybody wants it to yield; whoever wants that says so
/// first, and then fires the signal.
/// </remarks>
internal sealed class YieldSignals : IDisposable
{
    // Low, normal, high.
    private readonly CancellationTokenSource[] _signals = [new(), new(), new()];
    private readonly int[] _waiting = new int[3];

    public CancellationToken TokenFor(RentPriority priority) => Volatile.Read(ref _signals[Index(priority)]).Token;

    /// <summary>Whether a rent of higher priority stands in line.</summary>
    public bool IsHigherWaiting(RentPriority priority)
    {
        for (var index = Index(priority) + 1; index < _waiting.Length; index++)
        {
            if (Volatile.Read(ref _waiting[index]) > 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A rent goes to stand in line: lower ones must not wait in the pool before it.</summary>
    public void EnterLine(RentPriority priority)
    {
        Interlocked.Increment(ref _waiting[Index(priority)]);
        Fire(Index(priority));
    }

    public void LeaveLine(RentPriority priority) => Interlocked.Decrement(ref _waiting[Index(priority)]);

    /// <summary>Makes all yield.</summary>
    public void FireAll() => Fire(_signals.Length);

    /// <summary>After the pool: then nobody waits in it any more.</summary>
    public void Dispose() => Array.ForEach(_signals, signal => signal.Dispose());

    private static int Index(RentPriority priority) => (int)priority + 1;

    private void Fire(int below)
    {
        for (var index = 0; index < below; index++)
        {
            Interlocked.Exchange(ref _signals[index], new CancellationTokenSource()).Cancel();
        }
    }
}
