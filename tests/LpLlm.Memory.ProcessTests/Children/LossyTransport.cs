using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Tests.Children;

/// <summary>A pipe whose connection breaks after the server has answered, and before the client learns of it, at the first call of some kinds.</summary>
internal sealed class LossyTransport(params PoolMethod[] losses) : PoolTransport
{
    private readonly PipeTransport _pipe = new();
    private readonly HashSet<PoolMethod> _losses = [.. losses];

    public override string Scheme => _pipe.Scheme;

    /// <summary>Replies that were lost.</summary>
    public int Lost { get; private set; }

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) =>
        new Channel(await _pipe.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false), this);

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
        _pipe.BindAsync(endPoint, handler, cancellationToken);

    private sealed class Channel(PoolChannel pipe, LossyTransport transport) : PoolChannel
    {
        public override Uri EndPoint => pipe.EndPoint;

        public override bool PassesFiles => pipe.PassesFiles;

        public override CancellationToken Closed => pipe.Closed;

        public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
        {
            var reply = await pipe.SendAsync(method, request, cancellationToken).ConfigureAwait(false);
            if (!transport._losses.Remove(method))
            {
                return reply;
            }

            transport.Lost++;
            reply.Dispose();
            await pipe.DisposeAsync().ConfigureAwait(false);
            throw new PoolServerUnavailableException(pipe.EndPoint.ToString(), "The connection broke.");
        }

        public override IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
            pipe.WatchAsync(request, cancellationToken);

        public override ValueTask DisposeAsync() => pipe.DisposeAsync();
    }
}
