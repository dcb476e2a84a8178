namespace LpLlm.Memory.Transport;

/// <summary>An operation of the source that a test ends when it likes.</summary>
internal sealed class PendingOperation(SimulatedOperation kind, long lengthBytes, Action<Exception?> end)
{
    public SimulatedOperation Kind { get; } = kind;

    public long LengthBytes { get; } = lengthBytes;

    public bool IsCancelled { get; set; }

    /// <summary>Ends it on this thread, with all that follows from it.</summary>
    public void End(Exception? failure = null) => end(failure);
}
