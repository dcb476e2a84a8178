namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Answers every request with itself, and counts.</summary>
internal sealed class EchoServer : IPoolConnectionHandler
{
    private int _accepted;
    private int _closed;

    /// <summary>Called for each connection before it is accepted.</summary>
    public Action? OnAccept { get; set; }

    public Func<PoolMessage, PoolMessage>? OnReply { get; set; }

    public bool AdmitsOtherUsers { get; init; }

    public int Accepted => Volatile.Read(ref _accepted);

    public int Closed => Volatile.Read(ref _closed);

    public IPoolConnection Accept(PoolPeer peer)
    {
        Interlocked.Increment(ref _accepted);
        OnAccept?.Invoke();
        return new Connection(this);
    }

    private sealed class Connection(EchoServer server) : IPoolConnection
    {
        public ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
        {
            request.Dispose();
            return ValueTask.FromResult(server.OnReply is { } reply ? reply(request) : new PoolMessage(request.Payload));
        }

        public async IAsyncEnumerable<PoolMessage> WatchAsync(
            PoolMessage request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            yield break;
        }

        public void Closed() => Interlocked.Increment(ref server._closed);
    }
}
