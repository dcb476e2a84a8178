using System.Collections.Concurrent;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Loopback;

/// <summary>A name of a <see cref="LoopbackTransport"/> that is served.</summary>
internal sealed class LoopbackListener(
    Uri endPoint, IPoolConnectionHandler handler, PoolTransportLimits limits, TimeProvider time, ILogger logger, Action<LoopbackListener> unbind) : PoolListener
{
    private readonly ConcurrentDictionary<LoopbackChannel, bool> _channels = new();
    private readonly SemaphoreSlim _room = new(limits.MaxConnections);
    private readonly CancellationTokenSource _stopped = new();

    public override Uri EndPoint => endPoint;

    public async ValueTask<PoolChannel> ConnectAsync(Uri calledEndPoint, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopped.Token);
        try
        {
            await _room.WaitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Stopped();
        }

        try
        {
            var peer = ThisProcess();
            var calls = new ConnectionCalls(ConnectionCalls.Accept(handler, peer, logger), peer, limits, time, logger);
            var channel = new LoopbackChannel(calledEndPoint, calls, peer.PassesFiles, limits, time, Forget);
            _channels[channel] = true;
            if (_stopped.IsCancellationRequested)
            {
                await channel.DisposeAsync().ConfigureAwait(false);
                throw Stopped();
            }

            return channel;
        }
        catch (PoolFaultException)
        {
            _room.Release();
            throw;
        }
    }

    public override async ValueTask StopAcceptingAsync()
    {
        unbind(this);
        await _stopped.CancelAsync().ConfigureAwait(false);
    }

    public override async ValueTask DisposeAsync()
    {
        await StopAcceptingAsync().ConfigureAwait(false);
        await Task.WhenAll(_channels.Keys.Select(channel => channel.DisposeAsync().AsTask())).ConfigureAwait(false);
    }

    private static PoolPeer ThisProcess() => new()
    {
        Description = $"this process (pid {Environment.ProcessId})",
        ProcessId = Environment.ProcessId,
        UserId = Descriptors.AreSupported ? ProcessUser.Id : null,
        GroupId = OperatingSystem.IsLinux() ? SocketNative.GetGroupId() : null,
        Exited = new TaskCompletionSource().Task,
        PassesFiles = Descriptors.AreSupported,
        IsThisProcess = true,
    };

    private void Forget(LoopbackChannel channel)
    {
        if (_channels.TryRemove(channel, out _))
        {
            _room.Release();
        }
    }

    private PoolServerUnavailableException Stopped() => new(endPoint.AbsoluteUri, "The server stops.");
}
