namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A call of a client that waits for frames. Whoever takes it out of the channel's table ends it.</summary>
internal abstract class PendingCall
{
    /// <summary>An event, which is not the last frame; false if the call takes none.</summary>
    public abstract bool TryAdd(PoolMessage next);

    /// <summary>The last frame: a reply, or null for the end of a stream.</summary>
    public abstract void Complete(PoolMessage? reply);

    public abstract void Fail(Exception exception);
}
