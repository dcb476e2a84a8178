using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Pooling;

/// <summary>
/// A lock for sections of tens of nanoseconds. <see cref="SpinLock"/> does the same, but backs off so far that two threads which
/// rent and return got 200 ns a pair from it on two processors. Not re-entrant. Yields, so a preempted holder is let run.
/// </summary>
internal struct SpinGate
{
    private int _held;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Enter()
    {
        if (Interlocked.CompareExchange(ref _held, 1, 0) != 0)
        {
            EnterContended();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Exit() => Volatile.Write(ref _held, 0);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterContended()
    {
        var spinner = default(SpinWait);
        do
        {
            // Never the 1 ms sleep: the section is shorter than the timer's resolution by four orders of magnitude.
            spinner.SpinOnce(sleep1Threshold: -1);
        }
        while (Volatile.Read(ref _held) != 0 || Interlocked.CompareExchange(ref _held, 1, 0) != 0);
    }
}
