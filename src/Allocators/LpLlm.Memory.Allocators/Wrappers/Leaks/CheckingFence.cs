namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>
/// A fence that, once the device has passed it, checks and poisons the block before it says so. The pool underneath keeps the block pending
/// with its own rules for fences, and gets it only after the check.
/// </summary>
/// <remarks>
/// The first who finds the device through checks, outside of any lock: that may write gigabytes. Meanwhile the fence has not completed for
/// anybody else, so nobody who asks ever waits for the check of another.
/// </remarks>
internal sealed class CheckingFence(IFence inner, Action check) : IFence
{
    private readonly TaskCompletionSource _checked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _taken;

    public object? StreamKey => inner.StreamKey;

    public bool IsCompleted
    {
        get
        {
            if (!_checked.Task.IsCompleted && inner.IsCompleted)
            {
                CheckIfFirst();
            }

            return _checked.Task.IsCompletedSuccessfully;
        }
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        await inner.WaitAsync(cancellationToken).ConfigureAwait(false);
        CheckIfFirst();
        await _checked.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private void CheckIfFirst()
    {
        if (Interlocked.Exchange(ref _taken, 1) != 0)
        {
            return;
        }

        try
        {
            check();
            _checked.SetResult();
        }
        catch (Exception failure)
        {
            _checked.SetException(failure); // to whoever waits: the block stays pending, as behind a fence that failed
        }
    }
}
