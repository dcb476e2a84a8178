namespace LpLlm.Memory.TestKit;

/// <summary>A fence that its stream completes or fails.</summary>
internal sealed class SimulatedFence : IDeviceFence
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public SimulatedFence(object streamKey)
    {
        StreamKey = streamKey;
        EventHandle = SimulatedHandles.Add(this);
    }

    ~SimulatedFence() => SimulatedHandles.Remove(EventHandle);

    public nint EventHandle { get; }

    public object StreamKey { get; }

    public bool IsCompleted => _done.Task.IsCompletedSuccessfully;

    /// <summary>What the host and other streams wait for.</summary>
    public Task Done => _done.Task;

    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_done.Task.WaitAsync(cancellationToken));

    public void Complete() => _done.TrySetResult();

    public void Fail(Exception failure) => _done.TrySetException(failure);
}
