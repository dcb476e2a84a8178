namespace LpLlm.Memory.Wrappers;

/// <summary>A request of which only the outcome of other rents will tell whether it fits. Whoever removes it from its list decides it.</summary>
internal sealed class UndecidedRent
{
    private readonly TaskCompletionSource _decided = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public UndecidedRent(long lengthBytes)
    {
        LengthBytes = lengthBytes;
        Place = new LinkedListNode<UndecidedRent>(this);
    }

    public long LengthBytes { get; }

    public LinkedListNode<UndecidedRent> Place { get; }

    /// <summary>Whether the bytes are reserved; set before <see cref="Announce"/>.</summary>
    public bool IsGranted { get; set; }

    public void Announce() => _decided.TrySetResult();

    public Task WhenDecided => _decided.Task;
}
