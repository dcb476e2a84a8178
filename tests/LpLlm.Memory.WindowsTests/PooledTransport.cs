using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Windows;

/// <summary>
/// The pipe transport, called on threads of the thread pool. Wine loses what a read brings whose thread has ended meanwhile, as those of xunit do (42 of
/// 500 connections made so); Windows ends no read of a handle that completes on the thread pool.
/// </summary>
internal sealed class PooledTransport(PoolTransportLimits? limits = null) : PoolTransport
{
    private readonly PipeTransport _transport = new(limits);

    public override string Scheme => _transport.Scheme;

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) =>
        await Task.Run(() => _transport.ConnectAsync(endPoint, cancellationToken).AsTask(), CancellationToken.None);

    public override async ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
        await Task.Run(() => _transport.BindAsync(endPoint, handler, cancellationToken).AsTask(), CancellationToken.None);
}
