namespace LpLlm.Memory;

/// <summary>A recorded CUDA event. Nothing blocks in it: who awaits is told by a thread that asks the driver. Thread-safe.</summary>
public sealed class CudaFence : IDeviceFence
{
    private readonly StreamFences _fences;

    internal CudaFence(StreamFences fences, long number, nint eventHandle)
    {
        _fences = fences;
        Number = number;
        EventHandle = eventHandle;
    }

    /// <inheritdoc/>
    public nint EventHandle { get; }

    /// <inheritdoc/>
    public bool IsCompleted => _fences.HasCompleted(Number);

    /// <summary>The stream's fences: they complete in the order in which they were recorded.</summary>
    public object StreamKey => _fences;

    /// <summary>Position among the stream's fences.</summary>
    internal long Number { get; }

    /// <summary>Made when somebody awaits the fence; under the gate of its stream's fences.</summary>
    internal TaskCompletionSource? Completion { get; set; }

    /// <inheritdoc/>
    /// <exception cref="CudaException">Through the task: the device failed.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken = default) =>
        IsCompleted ? ValueTask.CompletedTask : new ValueTask(_fences.WhenCompleted(this).WaitAsync(cancellationToken));
}
