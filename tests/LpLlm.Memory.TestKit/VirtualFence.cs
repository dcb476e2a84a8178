namespace LpLlm.Memory.TestKit;

/// <summary>A fence that a test completes or fails.</summary>
public sealed class VirtualFence : IFence
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsCompleted => _done.Task.IsCompletedSuccessfully;

    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_done.Task.WaitAsync(cancellationToken));

    public void Complete() => _done.TrySetResult();

    public void Fail(Exception failure) => _done.TrySetException(failure);
}
