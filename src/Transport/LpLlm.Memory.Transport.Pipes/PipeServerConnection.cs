using System.Collections.Concurrent;
using System.Net.Sockets;
using LpLlm.Memory.Transport.Server;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>The server's end of a connection: one loop reads requests and starts them; each answers when it is done.</summary>
internal sealed class PipeServerConnection : IAsyncDisposable
{
    /// <summary>How long a connection may take to its first request, in read timeouts: a client may connect before it has something to say.</summary>
    private const int FirstRequestTimeouts = 6;

    private readonly PipeLink _link;
    private readonly PoolPeer _peer;
    private readonly PoolTransportLimits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConnectionCalls _calls;
    private readonly ITimer _firstRequest;
    private readonly RequestRate _rate;
    private readonly FrameOutput _output;
    private readonly FrameInput _input;
    private readonly PeerBudget _requestBudget;
    private readonly PeerShare _files;
    private readonly PeerShare _requests;
    private readonly ConcurrentDictionary<uint, CancellationTokenSource> _running = new(concurrencyLevel: 1, capacity: 1);
    private readonly CancellationTokenSource _aborted = new();
    private string? _reason;
    private bool _hasRequested;

    public PipeServerConnection(
        PipeLink link, PoolPeer peer, IPoolConnection connection, PeerBudget files, PeerBudget requests, PoolTransportLimits limits, TimeProvider time,
        ILogger logger)
    {
        _link = link;
        _peer = peer;
        _limits = limits;
        _time = time;
        _logger = logger;
        _calls = new ConnectionCalls(connection, peer, limits, time, logger);
        _rate = new RequestRate(limits.MaxRequestsPerSecond, time);
        var patience = FirstRequestTimeouts * limits.ReadTimeout;
        _firstRequest = time.CreateTimer(
            _ => Abort($"no request came within {patience.TotalSeconds:0.#} s ({FirstRequestTimeouts} times ReadTimeout)"), null, patience, Timeout.InfiniteTimeSpan);
        _output = new FrameOutput(link, limits.MaxUnsentBytes, e => Abort(e.Message));
        _requestBudget = requests;
        _files = files.Join(peer, Abort);
        _requests = requests.Join(peer, Abort);
        _input = new FrameInput(
            link, new FrameDecoder(fromClient: true, limits.MaxMessageBytes, _requests.TryTake), _files, limits.ReadTimeout, time,
            () => Abort($"a message was not whole within {limits.ReadTimeout.TotalSeconds:0.#} s (ReadTimeout)"));
    }

    /// <summary>Serves the connection until it ends, for whatever reason.</summary>
    public async Task RunAsync()
    {
        try
        {
            _output.SendRaw(Preface.Create());
            if (await _input.ReadPrefaceAsync(hasDeadline: true).ConfigureAwait(false) is not null)
            {
                await ReadAsync().ConfigureAwait(false);
            }
        }
        catch (FrameException e)
        {
            Abort(e.Message);
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The connection is lost, or was ended from this side for a reason that is known.
        }
        catch (Exception e)
        {
            PipesLog.ConnectionFailed(_logger, e, _peer.Description);
        }
    }

    /// <summary>Ends the connection and its calls. After <see cref="RunAsync"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        Abort(reason: null);
        await _firstRequest.DisposeAsync().ConfigureAwait(false);
        _input.Dispose();
        _files.Dispose();
        await _calls.DisposeAsync().ConfigureAwait(false);
        _aborted.Dispose();
        _requests.Dispose(); // what calls hold that do not heed their token is no longer this client's
        if (_reason is { } reason)
        {
            PipesLog.ConnectionDropped(_logger, _peer.Description, reason);
        }
    }

    /// <summary>Ends the connection. The first reason is the one that is told.</summary>
    public void Abort(string? reason)
    {
        Interlocked.CompareExchange(ref _reason, reason, null);
        _output.Close();
        _link.Dispose();
        try
        {
            _aborted.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has ended already.
        }
    }

    private async Task ReadAsync()
    {
        while (await _input.ReadAsync().ConfigureAwait(false) is { } frame)
        {
            // Cancellations too: they cost as much as requests that are refused.
            var wait = _rate.Take();
            if (wait > TimeSpan.Zero)
            {
                _input.Pause();
                await Task.Delay(wait, _time, _aborted.Token).ConfigureAwait(false);
            }

            if (frame.Header.Kind is FrameKind.Cancel)
            {
                Cancel(frame.Header.Call);
            }
            else
            {
                if (!_hasRequested)
                {
                    _hasRequested = true;
                    await _firstRequest.DisposeAsync().ConfigureAwait(false);
                }

                Start(frame);
            }
        }
    }

    private void Start(Frame frame)
    {
        var (call, method) = (frame.Header.Call, frame.Header.Method);
        if (frame.Message is not { } request)
        {
            SendFault(call, frame.Header.PayloadBytes <= _limits.MaxMessageBytes
                ? RequestBytes.Refusal(frame.Header.PayloadBytes, _requestBudget)
                : new PoolFaultException(
                    PoolFaultCode.ResourceExhausted,
                    $"The message has {frame.Header.PayloadBytes} B, more than {_limits.MaxMessageBytes} B (MaxMessageBytes of the server): send less at a time."));
        }
        else if (!Enum.IsDefined(method))
        {
            request.Dispose();
            _requests.Return(request.Payload.Length);
            SendFault(call, new PoolFaultException(
                PoolFaultCode.Unimplemented, $"This server knows no call {(int)method}: it is older than its client."));
        }
        else
        {
            var end = _calls.CreateCall();
            if (!_running.TryAdd(call, end))
            {
                end.Dispose();
                request.Dispose();
                throw new FrameException($"Call {call} was sent again while it ran.");
            }

            _ = method is PoolMethod.Watch ? WatchAsync(call, request, end) : HandleAsync(call, method, request, end);
        }
    }

    private async Task HandleAsync(uint call, PoolMethod method, PoolMessage request, CancellationTokenSource end)
    {
        try
        {
            var reply = await _calls.HandleAsync(method, request, end.Token).ConfigureAwait(false);
            using var hold = reply.Hold; // until its descriptors are duplicated
            End(call);
            _output.Send(FrameKind.Reply, call, method, reply.Payload.Span, reply.Files);
        }
        catch (Exception e)
        {
            End(call);
            SendFault(call, _calls.Explain(e, CancellationToken.None));
        }
        finally
        {
            _requests.Return(request.Payload.Length);
        }
    }

    private async Task WatchAsync(uint call, PoolMessage request, CancellationTokenSource end)
    {
        try
        {
            await foreach (var next in _calls.WatchAsync(request, end.Token).ConfigureAwait(false))
            {
                using var hold = next.Hold;
                _output.Send(FrameKind.Event, call, PoolMethod.Watch, next.Payload.Span, next.Files);
            }

            End(call);
            _output.Send(FrameKind.End, call, PoolMethod.Watch, default, []);
        }
        catch (Exception e)
        {
            End(call);
            SendFault(call, _calls.Explain(e, CancellationToken.None));
        }
        finally
        {
            _requests.Return(request.Payload.Length);
        }
    }

    private void SendFault(uint call, PoolFaultException fault) => _output.Send(FrameKind.Fault, call, 0, FaultPayload.Encode(fault), []);

    /// <summary>Whoever takes a call out of the table disposes its source: its end or its cancellation.</summary>
    private void End(uint call)
    {
        if (_running.TryRemove(call, out var end))
        {
            end.Dispose();
        }
    }

    private void Cancel(uint call)
    {
        if (_running.TryRemove(call, out var end))
        {
            // Not here: what the call does then must not hold up the connection.
            _ = end.CancelAsync().ContinueWith(
                static (_, state) => ((CancellationTokenSource)state!).Dispose(), end, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }
}
