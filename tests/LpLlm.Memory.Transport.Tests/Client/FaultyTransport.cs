using System.Collections.Concurrent;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A network that fails when a test says so.</summary>
internal sealed class FaultyTransport(PoolTransport inner) : PoolTransport
{
    private readonly ConcurrentQueue<FaultyChannel> _channels = new();

    public override string Scheme => inner.Scheme;

    /// <summary>Asked for every call; may be slow.</summary>
    public Func<PoolMethod, ValueTask<CallFault>> Decide { get; set; } = _ => ValueTask.FromResult(CallFault.None);

    public bool RefusesConnections { get; set; }

    public int Connects { get; private set; }

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        Connects++;
        if (RefusesConnections)
        {
            throw new PoolServerUnavailableException(endPoint.ToString(), "Told to refuse.");
        }

        var channel = new FaultyChannel(await inner.ConnectAsync(endPoint, cancellationToken), this);
        _channels.Enqueue(channel);
        return channel;
    }

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
        inner.BindAsync(endPoint, handler, cancellationToken);

    /// <summary>Ends all connections.</summary>
    public async Task DropAsync()
    {
        while (_channels.TryDequeue(out var channel))
        {
            await channel.DisposeAsync();
        }
    }

    private sealed class FaultyChannel(PoolChannel inner, FaultyTransport network) : PoolChannel
    {
        public override Uri EndPoint => inner.EndPoint;

        public override bool PassesFiles => inner.PassesFiles;

        public override CancellationToken Closed => inner.Closed;

        public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
        {
            var fault = await network.Decide(method).AsTask().WaitAsync(cancellationToken);
            if (fault == CallFault.LostRequest)
            {
                await inner.DisposeAsync();
            }

            var reply = await inner.SendAsync(method, request, cancellationToken);
            if (fault is not (CallFault.LostReply or CallFault.RefusedReply))
            {
                return reply;
            }

            reply.Dispose();
            if (fault == CallFault.RefusedReply)
            {
                throw new PoolFaultException(PoolFaultCode.ResourceExhausted, "Told to have no descriptor left for the reply.");
            }

            await inner.DisposeAsync();
            throw new PoolServerUnavailableException(EndPoint.ToString(), "Told to lose the reply.");
        }

        public override IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
            inner.WatchAsync(request, cancellationToken);

        public override ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
