using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Server;

/// <summary>The way to this process's own server, which the first connection starts: pools may open before the server's turn comes.</summary>
internal sealed class EmbeddedTransport(PoolServer server, PoolTransport loopback) : PoolTransport
{
    public override string Scheme => loopback.Scheme;

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken)
    {
        await server.StartAsync(cancellationToken).ConfigureAwait(false);
        return await loopback.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
    }

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
        loopback.BindAsync(endPoint, handler, cancellationToken);
}
