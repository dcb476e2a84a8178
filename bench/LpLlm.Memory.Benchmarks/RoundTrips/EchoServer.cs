using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>Answers with what it was asked.</summary>
internal sealed class EchoServer : IPoolConnectionHandler, IPoolConnection
{
    public IPoolConnection Accept(PoolPeer peer) => this;

    public ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken) =>
        new(new PoolMessage(request.Payload));

    public IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
        throw new PoolFaultException(PoolFaultCode.Unimplemented, "The benchmark does not watch.");

    public void Closed()
    {
    }
}
