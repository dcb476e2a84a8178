namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A call of a client that waits for frames. Whoever takes it out of the channel's table ends it.</summary>
internal abstract class PendingCall
{
    public abstract void Fail(Exception exception);
}
