namespace LpLlm.Memory;

/// <summary>Never completes: behind it a pool keeps memory that a device may use for ever. The failure itself was thrown where the copy was awaited.</summary>
internal sealed class BrokenFence : IFence
{
    public static BrokenFence Instance { get; } = new();

    public bool IsCompleted => false;

    public ValueTask WaitAsync(CancellationToken cancellationToken = default) => ValueTask.FromException(
        new InvalidOperationException("A copy of this memory failed, and the device may still use it."));
}
