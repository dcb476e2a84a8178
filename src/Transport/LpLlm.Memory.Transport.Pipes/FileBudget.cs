namespace LpLlm.Memory.Transport.Pipes;

/// <summary>
/// Descriptors that clients have sent with frames that are not whole, all connections together: bounded, so that no client can use up the
/// server's by never ending a frame. Thread-safe.
/// </summary>
internal sealed class FileBudget(int max)
{
    private int _held;

    /// <exception cref="FrameException">There are too many; the change counts nevertheless, until it is taken back.</exception>
    public void Change(int difference)
    {
        var held = Interlocked.Add(ref _held, difference);
        if (difference > 0 && held > max)
        {
            throw new FrameException($"Clients have {held} descriptors in unfinished messages, more than {max} at a time.");
        }
    }
}
