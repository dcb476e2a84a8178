namespace LpLlm.Memory.Transport;

/// <summary>An operation of the source that a test ends when it likes.</summary>
internal sealed class PendingOperation(SimulatedOperation kind, long lengthBytes, ulong inode, Action<Exception?> end)
{
    public SimulatedOperation Kind { get; } = kind;

    public long LengthBytes { get; } = lengthBytes;

    public ulong Inode { get; } = inode;

    public bool IsCancelled { get; set; }

    /// <summary>Ends it on this thread, with all that follows from it.</summary>
    public void End(Exception? failure = null)
    {
        // Under the test framework's context continuations would go to other threads.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            end(failure);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }
}
