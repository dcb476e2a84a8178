using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>Answers with what it was sent; Acquire waits until its token fires.</summary>
internal sealed class EchoHandler : IPoolConnectionHandler, IRequestBudgetHost
{
    public PeerBudget RequestBudget { get; init; } = RequestBytes.CreateBudget(new PoolTransportLimits());

    /// <summary>What every connection is refused with, if anything.</summary>
    public PoolFaultException? Refusal { get; set; }

    public List<PoolPeer> Peers { get; } = [];

    public TaskCompletionSource Waiting { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int ClosedCount => _closedCount;

    private int _closedCount;

    public IPoolConnection Accept(PoolPeer peer)
    {
        if (Refusal is { } refusal)
        {
            throw refusal;
        }

        lock (Peers)
        {
            Peers.Add(peer);
        }

        return new Connection(this);
    }

    private sealed class Connection(EchoHandler handler) : IPoolConnection
    {
        public async ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
        {
            if (method is PoolMethod.Acquire)
            {
                await using var registration = cancellationToken.Register(() => handler.Cancelled.TrySetResult());
                handler.Waiting.TrySetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            return request;
        }

        public async IAsyncEnumerable<PoolMessage> WatchAsync(
            PoolMessage request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            yield return request;
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        public void Closed() => Interlocked.Increment(ref handler._closedCount);
    }
}
