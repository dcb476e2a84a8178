using System.IO.Pipelines;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Grpc.Wire;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Kestrel's connections, from accept to their end: finds out who is there and asks the handler.</summary>
/// <param name="handler">Takes or refuses them.</param>
/// <param name="limits">What they may take.</param>
/// <param name="maxConnections">How many there can be at a time.</param>
/// <param name="asksForToken">Whether each call must have a token, so that a peer need not be known.</param>
/// <param name="time">For deadlines.</param>
/// <param name="logger">For refusals.</param>
internal sealed class GrpcConnections(
    IPoolConnectionHandler handler, PoolTransportLimits limits, int maxConnections, bool asksForToken, TimeProvider time, ILogger logger)
{
    /// <summary>How long a connection may take to its first admitted call, in read timeouts: a client may connect before it has something to say.</summary>
    private const int FirstCallTimeouts = 6;

    private readonly uint _ownUserId = OperatingSystem.IsLinux() ? SocketNative.GetUserId() : 0;
    private readonly PeerBudget _requests = RequestBytes.BudgetOf(handler, limits);
    private readonly UserConnections _users = new(maxConnections, OperatingSystem.IsLinux() ? SocketNative.GetUserId() : 0);

    public async Task RunAsync(ConnectionContext context, ConnectionDelegate http)
    {
        var socket = context.Features.Get<IConnectionSocketFeature>()!.Socket;
        var peer = await IdentifyAsync(socket, context.ConnectionClosed).ConfigureAwait(false);
        try
        {
            _users.Enter(peer);
        }
        catch (PoolFaultException fault)
        {
            // Without waiting for a call to answer: its slots are for others.
            GrpcLog.Refused(logger, peer.Description, fault.Message);
            return;
        }

        try
        {
            await RunAsync(context, Accept(peer, socket, context), http).ConfigureAwait(false);
        }
        finally
        {
            _users.Leave(peer);
        }
    }

    private async Task RunAsync(ConnectionContext context, GrpcConnection connection, ConnectionDelegate http)
    {
        var peer = connection.Peer.Description;
        GrpcLog.Connected(logger, peer);
        try
        {
            context.Features.Set(connection);

            // Pings keep a connection alive for ever: one that says nothing, or nothing that it may, must not keep its slot as long.
            var patience = connection.Refusal is null ? FirstCallTimeouts * limits.ReadTimeout : limits.ReadTimeout;
            await using var deadline = time.CreateTimer(static state => ((GrpcConnection)state!).AbortUnlessAdmitted(), connection, patience, Timeout.InfiniteTimeSpan)
                .ConfigureAwait(false);
            if (await StartsAsHttp2Async(context.Transport.Input).ConfigureAwait(false))
            {
                await http(context).ConfigureAwait(false);
            }
            else
            {
                GrpcLog.NotHttp2(logger, peer, limits.ReadTimeout);
            }
        }
        finally
        {
            // All calls have ended: HTTP/2 waits for them.
            connection.Pool?.Closed();
            connection.Dispose();
            GrpcLog.Disconnected(logger, peer);
        }
    }

    private ValueTask<PoolPeer> IdentifyAsync(Socket socket, CancellationToken cancellationToken) =>
        socket.AddressFamily == AddressFamily.Unix
            ? ValueTask.FromResult(SocketPeer.Identify(socket, passesFiles: false))
            : LoopbackTcpPeer.IdentifyAsync(socket, user => handler.AdmitsOtherUsers || user == 0 || user == _ownUserId, limits.ReadTimeout, cancellationToken);

    private GrpcConnection Accept(PoolPeer peer, Socket socket, ConnectionContext context)
    {
        IPoolConnection? pool = null;
        GrpcStatus? refusal = null;
        try
        {
            pool = socket.AddressFamily == AddressFamily.Unix || asksForToken || peer.UserId is not null
                ? ConnectionCalls.Accept(handler, peer, logger)
                : throw new PoolFaultException(
                    PoolFaultCode.PermissionDenied, "The system cannot tell who this client is. Set an AccessToken for server and client, or use a Unix socket.");
        }
        catch (PoolFaultException fault)
        {
            GrpcLog.Refused(logger, peer.Description, fault.Message);
            refusal = GrpcStatus.Of(fault);
        }

        return new GrpcConnection(peer, socket.AddressFamily == AddressFamily.Unix, pool, refusal, _requests, limits, time, context.Abort, context.ConnectionClosed);
    }

    /// <summary>
    /// Waits for HTTP/2's preface, consuming nothing. Kestrel's own deadline for it is that of idle connections, which here is none: a client
    /// that leases memory may be silent for days (pings tell whether it lives).
    /// </summary>
    private async Task<bool> StartsAsHttp2Async(PipeReader input)
    {
        using var deadline = new CancellationTokenSource(limits.ReadTimeout);
        try
        {
            while (true)
            {
                var result = await input.ReadAsync(deadline.Token).ConfigureAwait(false);
                var match = Http2Preface.Match(result.Buffer);
                if (match is not null || result.IsCompleted)
                {
                    input.AdvanceTo(result.Buffer.Start);
                    return match is true;
                }

                input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (IOException)
        {
            return false; // Reset before its first bytes.
        }
    }
}
