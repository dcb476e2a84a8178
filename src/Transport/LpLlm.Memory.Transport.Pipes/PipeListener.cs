using System.Buffers;
using System.Collections.Concurrent;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Accepts connections at a door, as many at a time as the limits and this process's descriptors allow: the others wait unaccepted.</summary>
internal sealed class PipeListener : PoolListener
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(1);

    /// <summary>Longer than a connection waits for its calls.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly PipeDoor _door;
    private readonly IPoolConnectionHandler _handler;
    private readonly PoolTransportLimits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DescriptorHeadroom _descriptors;
    private readonly PeerBudget _files;
    private readonly PeerBudget _requests;
    private readonly UserConnections _users;
    private readonly SemaphoreSlim _room;
    private readonly CancellationTokenSource _stopped = new();
    private readonly CancellationTokenSource _disposed = new();
    private readonly ConcurrentDictionary<Task, bool> _connections = new();
    private readonly Task _accepting;

    public PipeListener(
        Uri endPoint, PipeDoor door, IPoolConnectionHandler handler, PoolTransportLimits limits, TimeProvider time, ILogger logger)
    {
        EndPoint = endPoint;
        _door = door;
        _handler = handler;
        _limits = limits;
        _time = time;
        _logger = logger;
        _descriptors = DescriptorHeadroom.Take(limits.MaxConnections);
        if (_descriptors.Connections < limits.MaxConnections)
        {
            PipesLog.FewerConnections(logger, _descriptors.Connections, limits.MaxConnections, _descriptors.Limit, _descriptors.Open);
        }

        _files = new PeerBudget(UnfinishedFiles.Of(_descriptors.Free));
        _requests = RequestBytes.BudgetOf(handler, limits);
        _users = new UserConnections(_descriptors.Connections, ProcessUser.Id);
        _room = new SemaphoreSlim(_descriptors.Connections);
        _accepting = AcceptAsync();
    }

    public override Uri EndPoint { get; }

    public override async ValueTask StopAcceptingAsync()
    {
        await _stopped.CancelAsync().ConfigureAwait(false);
        await _accepting.ConfigureAwait(false);
        _door.Close();
    }

    public override async ValueTask DisposeAsync()
    {
        await StopAcceptingAsync().ConfigureAwait(false);
        await _disposed.CancelAsync().ConfigureAwait(false);
        try
        {
            await Task.WhenAll(_connections.Keys).WaitAsync(Patience, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            PipesLog.ConnectionsStuck(_logger, _connections.Count, Patience.TotalSeconds);
        }

        _descriptors.Dispose();
        _door.Dispose();
    }

    private async Task AcceptAsync()
    {
        // Off the thread of whoever binds.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var retry = FirstRetry;
        try
        {
            while (true)
            {
                await _room.WaitAsync(_stopped.Token).ConfigureAwait(false);
                try
                {
                    var link = await _door.AcceptAsync(_stopped.Token).ConfigureAwait(false);
                    retry = FirstRetry;
                    Track(ServeAsync(link));
                }
                catch (Exception e) when (e is SocketException or IOException && !_stopped.IsCancellationRequested)
                {
                    // Above all EMFILE, which lasts until something is closed: trying again at once would take a whole core.
                    _room.Release();
                    PipesLog.AcceptFailed(_logger, e, EndPoint, retry.TotalMilliseconds);
                    await Task.Delay(retry, _time, _stopped.Token).ConfigureAwait(false);
                    retry = Backoff.Next(retry, LastRetry);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or IOException or ObjectDisposedException && _stopped.IsCancellationRequested)
        {
            // It was told to stop.
        }
    }

    private void Track(Task connection)
    {
        _connections[connection] = true;
        connection.ContinueWith(
            (ended, _) => _connections.TryRemove(ended, out var _), null, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task ServeAsync(PipeLink link)
    {
        // Off the accepting loop: a client that always has something to read would hold it up.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            using (link)
            {
                PoolPeer peer;
                try
                {
                    peer = link.Identify();
                    _users.Enter(peer);
                }
                catch (PoolFaultException fault)
                {
                    // Without waiting for it to read: its slots are for others.
                    await RefuseAsync(link, fault, TimeSpan.Zero).ConfigureAwait(false);
                    return;
                }

                try
                {
                    await ServeAsync(link, peer).ConfigureAwait(false);
                }
                finally
                {
                    _users.Leave(peer);
                }
            }
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            PipesLog.PeerUnknown(_logger, e, EndPoint);
        }
        finally
        {
            _room.Release();
        }
    }

    private async Task ServeAsync(PipeLink link, PoolPeer peer)
    {
        IPoolConnection connection;
        try
        {
            connection = ConnectionCalls.Accept(_handler, peer, _logger);
        }
        catch (PoolFaultException fault)
        {
            await RefuseAsync(link, fault, _limits.ReadTimeout).ConfigureAwait(false);
            return;
        }

        var served = new PipeServerConnection(link, peer, connection, _files, _requests, _limits, _time, _logger);
        await using (served.ConfigureAwait(false))
        {
            using var registration = _disposed.Token.UnsafeRegister(static state => ((PipeServerConnection)state!).Abort(null), served);
            await served.RunAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Says why, then waits for the client to close: closing first would take the message away from it.</summary>
    private async Task RefuseAsync(PipeLink link, PoolFaultException fault, TimeSpan readTimeout)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_disposed.Token);
        var payload = FaultPayload.Encode(fault);
        var message = new byte[Preface.LengthBytes + FrameHeader.LengthBytes + payload.Length];
        Preface.Create(refused: true).CopyTo(message, 0);
        new FrameHeader((uint)payload.Length, 0, FrameKind.Fault, 0, 0).Write(message.AsSpan(Preface.LengthBytes));
        payload.CopyTo(message, Preface.LengthBytes + FrameHeader.LengthBytes);
        try
        {
            using var registration = patience.Token.UnsafeRegister(static state => ((PipeLink)state!).Dispose(), link);
            for (var sent = 0; sent < message.Length;)
            {
                sent += await link.SendAsync(message.AsMemory(sent), files: null).ConfigureAwait(false);
            }

            link.EndSending();
            await using var timer = _time.CreateTimer(static state => ((CancellationTokenSource)state!).Cancel(), patience, readTimeout, Timeout.InfiniteTimeSpan)
                .ConfigureAwait(false);
            var rest = new ArrayBufferWriter<byte>();
            while (await link.ReceiveAsync(rest, static file => file.Dispose()).ConfigureAwait(false) > 0)
            {
                rest.ResetWrittenCount();
            }
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or FrameException)
        {
            // It went without waiting for the answer, or stayed too long.
        }
    }
}
