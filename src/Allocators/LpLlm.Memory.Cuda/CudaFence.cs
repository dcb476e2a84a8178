namespace LpLlm.Memory;

/// <summary>A point in a CUDA stream's work. Nothing blocks in it: who awaits is told by a thread that asks the driver. Thread-safe.</summary>
public sealed class CudaFence : IDeviceFence
{
    private readonly StreamFences _fences;

    internal CudaFence(StreamFences fences, long number)
    {
        _fences = fences;
        Number = number;
    }

    /// <inheritdoc/>
    /// <exception cref="CudaException">The event could not be recorded.</exception>
    /// <exception cref="ObjectDisposedException">The stream was disposed, and the fence has completed.</exception>
    public nint EventHandle => _fences.EventOf(Number);

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
