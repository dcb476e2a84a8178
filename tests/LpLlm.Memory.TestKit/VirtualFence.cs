namespace LpLlm.Memory.TestKit;

/// <summary>A fence that a test completes or fails, in any order, on any stream.</summary>
/// <param name="streamKey">The stream it stands on; null for none.</param>
public sealed class VirtualFence(object? streamKey = null) : IFence
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _queries;

    /// <summary>How often <see cref="IsCompleted"/> was read.</summary>
    public int Queries => Volatile.Read(ref _queries);

    /// <inheritdoc/>
    public object? StreamKey => streamKey;

    /// <inheritdoc/>
    public bool IsCompleted
    {
        get
        {
            Interlocked.Increment(ref _queries);
            return _done.Task.IsCompletedSuccessfully;
        }
    }

    /// <inheritdoc/>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_done.Task.WaitAsync(cancellationToken));

    /// <summary>The device has passed the fence.</summary>
    public void Complete() => _done.TrySetResult();

    /// <summary>The device reports that it will never pass the fence.</summary>
    /// <param name="failure">What <see cref="WaitAsync"/> throws.</param>
    public void Fail(Exception failure) => _done.TrySetException(failure);
}
