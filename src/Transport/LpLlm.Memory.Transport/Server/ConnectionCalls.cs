using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Server;

/// <summary>
/// The running calls of one connection, on the server's side of a transport: limits them, ends them with the connection, and turns what they
/// throw into what may travel. Thread-safe.
/// </summary>
internal sealed class ConnectionCalls : IAsyncDisposable
{
    /// <summary>How long the end of a connection waits for calls that do not heed their token.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly IPoolConnection _connection;
    private readonly PoolPeer _peer;
    private readonly PoolTransportLimits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _endedToken;
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Running calls, and one more for the connection itself until it ends.</summary>
    private int _holders = 1;
    private int _closed;

    public ConnectionCalls(IPoolConnection connection, PoolPeer peer, PoolTransportLimits limits, TimeProvider time, ILogger logger)
    {
        _connection = connection;
        _peer = peer;
        _limits = limits;
        _time = time;
        _logger = logger;
        _endedToken = _ended.Token;
    }

    /// <summary>Asks the server to take the connection.</summary>
    /// <exception cref="PoolFaultException">It refuses, as it may be told.</exception>
    public static IPoolConnection Accept(IPoolConnectionHandler handler, PoolPeer peer, ILogger logger)
    {
        try
        {
            return handler.Accept(peer);
        }
        catch (PoolFaultException fault)
        {
            throw FaultText.Cut(fault);
        }
        catch (Exception e)
        {
            TransportLog.AcceptFailed(logger, e, peer.Description);
            throw Defect();
        }
    }

    /// <summary>What ends one call: the connection's end, the given token, or who gets this.</summary>
    public CancellationTokenSource CreateCall(CancellationToken cancellationToken = default) =>
        CancellationTokenSource.CreateLinkedTokenSource(_endedToken, cancellationToken);

    /// <param name="method">Any but <see cref="PoolMethod.Watch"/>.</param>
    /// <param name="request">Goes to the server, or is disposed.</param>
    /// <param name="call">A token of <see cref="CreateCall"/>.</param>
    /// <exception cref="PoolFaultException">Whatever goes wrong.</exception>
    public async ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken call)
    {
        Enter(request);
        try
        {
            var reply = await _connection.HandleAsync(method, request, call).ConfigureAwait(false);
            try
            {
                Check(reply);
                return reply;
            }
            catch
            {
                reply.Hold?.Dispose();
                throw;
            }
        }
        catch (Exception e)
        {
            throw Explain(e, call);
        }
        finally
        {
            Leave();
        }
    }

    /// <param name="request">Goes to the server, or is disposed.</param>
    /// <param name="call">A token of <see cref="CreateCall"/>.</param>
    /// <exception cref="PoolFaultException">Whatever goes wrong.</exception>
    public async IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, [EnumeratorCancellation] CancellationToken call)
    {
        Enter(request);
        try
        {
            var events = Start(request, call);
            await using (events.ConfigureAwait(false))
            {
                while (await NextAsync(events, call).ConfigureAwait(false) is { } next)
                {
                    yield return next;
                }
            }
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>What may travel of an exception; defects are logged here and nowhere else.</summary>
    public PoolFaultException Explain(Exception exception, CancellationToken cancellationToken)
    {
        switch (exception)
        {
            case PoolFaultException fault:
                return FaultText.Cut(fault);
            case OperationCanceledException when cancellationToken.IsCancellationRequested:
                return new PoolFaultException(PoolFaultCode.Cancelled, "The call was cancelled.");
            default:
                TransportLog.CallFailed(_logger, exception, _peer.Description);
                return Defect();
        }
    }

    /// <summary>Fires the tokens of all running calls, tells the server once that the connection has ended, then waits for the calls a while.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            await _ended.CancelAsync().ConfigureAwait(false);
            try
            {
                _connection.Closed();
            }
            catch (Exception e)
            {
                TransportLog.CloseFailed(_logger, e, _peer.Description);
            }

            Leave();
        }

        try
        {
            await _idle.Task.WaitAsync(Patience, _time).ConfigureAwait(false);
            _ended.Dispose();
        }
        catch (TimeoutException)
        {
            TransportLog.CallsStuck(_logger, _peer.Description, Patience.TotalSeconds);
        }
    }

    private static PoolFaultException Defect() => new(PoolFaultCode.Internal, "The server failed; its log says why.");

    private IAsyncEnumerator<PoolMessage> Start(PoolMessage request, CancellationToken token)
    {
        try
        {
            return _connection.WatchAsync(request, token).GetAsyncEnumerator(token);
        }
        catch (Exception e)
        {
            throw Explain(e, token);
        }
    }

    private async ValueTask<PoolMessage?> NextAsync(IAsyncEnumerator<PoolMessage> events, CancellationToken token)
    {
        try
        {
            if (!await events.MoveNextAsync().ConfigureAwait(false))
            {
                return null;
            }

            try
            {
                Check(events.Current);
            }
            catch
            {
                events.Current.Hold?.Dispose();
                throw;
            }

            return events.Current;
        }
        catch (Exception e)
        {
            throw Explain(e, token);
        }
    }

    private void Enter(PoolMessage request)
    {
        int holders;
        do
        {
            holders = Volatile.Read(ref _holders);
            if (holders == 0 || holders > _limits.MaxCallsPerConnection || _closed != 0)
            {
                request.Dispose();
                throw holders > _limits.MaxCallsPerConnection
                    ? new PoolFaultException(
                        PoolFaultCode.ResourceExhausted,
                        $"This connection has {_limits.MaxCallsPerConnection} calls running, which is the most (MaxCallsPerConnection): await some first.")
                    : new PoolFaultException(PoolFaultCode.Cancelled, "The connection has ended.");
            }
        }
        while (Interlocked.CompareExchange(ref _holders, holders + 1, holders) != holders);
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _idle.TrySetResult();
        }
    }

    private void Check(PoolMessage reply)
    {
        if (reply.Payload.Length > _limits.MaxMessageBytes)
        {
            throw new PoolFaultException(
                PoolFaultCode.ResourceExhausted,
                $"The answer has {reply.Payload.Length} B, more than a message's {_limits.MaxMessageBytes} B (MaxMessageBytes): ask for less at a time.");
        }
    }
}
