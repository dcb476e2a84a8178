namespace LpLlm.Memory.Wrappers.Leaks;

/// <summary>
/// A fence that, once the device has passed it, checks and poisons the block before it says so. The pool underneath keeps the block pending
/// with its own rules for fences, and gets it only after the check.
/// </summary>
internal sealed class CheckingFence(IFence inner, Action check) : IFence
{
    private readonly Lock _gate = new();
    private bool _checked;

    public object? StreamKey => inner.StreamKey;

    public bool IsCompleted
    {
        get
        {
            if (!inner.IsCompleted)
            {
                return false;
            }

            CheckOnce();
            return true;
        }
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        await inner.WaitAsync(cancellationToken).ConfigureAwait(false);
        CheckOnce();
    }

    /// <summary>Under a lock of this block alone: whoever comes second must not see the fence completed before the check is over.</summary>
    private void CheckOnce()
    {
        lock (_gate)
        {
            if (!_checked)
            {
                check();
                _checked = true;
            }
        }
    }
}
