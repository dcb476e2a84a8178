using System.Net;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>
/// Kestrel's way to connections, with a gate before accept(2). Kestrel's own loop spins on one core when descriptors run out, and its limit
/// of connections acts after accept: under a flood the process then died of the descriptors that its own error paths could not open.
/// </summary>
internal sealed class AcceptGate : IConnectionListenerFactory, IConnectionListener
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);

    private readonly Socket _listener;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _free;
    private readonly DescriptorHeadroom _descriptors;
    private readonly SocketConnectionContextFactory _connections;
    private readonly CancellationTokenSource _unbound = new();

    public AcceptGate(Socket listener, PoolTransportLimits limits, ILogger logger)
    {
        _descriptors = DescriptorHeadroom.Take(limits.MaxConnections);
        if (_descriptors.Connections < limits.MaxConnections)
        {
            GrpcLog.FewerConnections(logger, _descriptors.Connections, limits.MaxConnections, _descriptors.Limit, _descriptors.Open);
        }

        (_listener, _logger, _free) = (listener, logger, new SemaphoreSlim(_descriptors.Connections));
        _connections = new SocketConnectionContextFactory(
            new SocketConnectionFactoryOptions
            {
                MaxReadBufferSize = KestrelSettings.BufferBytes(_descriptors.Connections),
                MaxWriteBufferSize = KestrelSettings.ReplyBufferBytes,
                WaitForDataBeforeAllocatingBuffer = true, // an idle connection has none
            },
            logger);
    }

    public EndPoint EndPoint => _listener.LocalEndPoint!;

    public int MaxConnections => _descriptors.Connections;

    /// <summary>Fires when no further connection is taken.</summary>
    public CancellationToken Unbound => _unbound.Token;

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => ValueTask.FromResult<IConnectionListener>(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _unbound.Token);
        try
        {
            await _free.WaitAsync(either.Token).ConfigureAwait(false);
            return Take(await AcceptSocketAsync(either.Token).ConfigureAwait(false));
        }
        catch (Exception e) when (_unbound.IsCancellationRequested && e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _unbound.Cancel();
        _listener.Dispose();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await UnbindAsync().ConfigureAwait(false);
        _connections.Dispose();
        _descriptors.Dispose();
    }

    private async Task<Socket> AcceptSocketAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await _listener.AcceptAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e) when (!_unbound.IsCancellationRequested)
            {
                // No descriptor left, most likely; others give theirs back, this loop must not starve them meanwhile.
                GrpcLog.AcceptFailed(_logger, e, RetryDelay);
                await Task.Delay(RetryDelay, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private ConnectionContext Take(Socket socket)
    {
        if (socket.ProtocolType is ProtocolType.Tcp)
        {
            socket.NoDelay = true;
        }

        var connection = _connections.Create(socket);
        connection.ConnectionClosed.UnsafeRegister(static gate => ((SemaphoreSlim)gate!).Release(), _free);
        return connection;
    }
}
