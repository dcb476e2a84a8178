namespace LpLlm.Memory.Pooling;

/// <summary>Counts rents from before a member is asked until their lease is back, and lets disposal wait for zero.</summary>
/// <remarks>
/// Thread-safe. A rent counts itself before it looks whether the pool is closed, and closing looks at the count after it has closed:
/// no rent that succeeds is missed.
/// </remarks>
internal sealed class LeaseRundown(string poolName)
{
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _count;
    private int _closed;

    /// <summary>Completes when the pool is closed and nothing is out.</summary>
    public Task Drained => _drained.Task;

    /// <exception cref="ObjectDisposedException">The pool is closed.</exception>
    public void Enter()
    {
        Interlocked.Increment(ref _count);
        if (Volatile.Read(ref _closed) != 0)
        {
            Exit();
            ThrowIfClosed();
        }
    }

    public void Exit()
    {
        if (Interlocked.Decrement(ref _count) == 0 && Volatile.Read(ref _closed) != 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <returns>Whether this call closed it.</returns>
    public bool Close()
    {
        var first = Interlocked.Exchange(ref _closed, 1) == 0;
        if (Interlocked.Read(ref _count) == 0)
        {
            _drained.TrySetResult();
        }

        return first;
    }

    public void ThrowIfClosed()
    {
        if (Volatile.Read(ref _closed) != 0)
        {
            throw new ObjectDisposedException(nameof(HybridPool), $"Pool '{poolName}' is disposed.");
        }
    }
}
