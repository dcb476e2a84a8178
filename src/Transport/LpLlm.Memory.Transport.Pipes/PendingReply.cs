namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A call with one reply. Continues on another thread: the one that completes it reads the connection.</summary>
internal sealed class PendingReply : PendingCall
{
    private readonly TaskCompletionSource<PoolMessage> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<PoolMessage> Task => _reply.Task;

    public override bool TryAdd(PoolMessage next) => false;

    public override void Complete(PoolMessage? reply)
    {
        if (reply is null)
        {
            Fail(new FrameException("A call ended without a reply."));
        }
        else
        {
            _reply.SetResult(reply);
        }
    }

    public override void Fail(Exception exception) => _reply.SetException(exception);
}
