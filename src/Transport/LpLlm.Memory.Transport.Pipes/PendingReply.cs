namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A call with one reply. Continues on another thread: the one that completes it reads the connection.</summary>
internal sealed class PendingReply : PendingCall
{
    private readonly TaskCompletionSource<PoolMessage> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<PoolMessage> Task => _reply.Task;

    public void Complete(PoolMessage reply) => _reply.SetResult(reply);

    public override void Fail(Exception exception) => _reply.SetException(exception);
}
