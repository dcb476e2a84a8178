using System.Runtime.ExceptionServices;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Client;

/// <summary>
/// A session with a pool server, kept alive: connects when first asked, sends heartbeats, listens to the server, and connects anew with growing
/// delays after every loss, resuming the session by its token. Thread-safe.
/// </summary>
internal sealed class PoolClient(
    PoolClientOptions options, PoolTransport transport, IPoolClientObserver observer, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    /// <summary>The delay between attempts doubles up to this many times.</summary>
    private const int MaxDoublings = 4;

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private TaskCompletionSource _attempt = NewAttempt();
    private PoolConnection? _connection;
    private Exception? _failure;
    private Task? _run;
    private Token _session;

    /// <summary>The connection that stands. Fails at once where none does; only the very first call waits for an attempt to make one.</summary>
    /// <exception cref="PoolServerUnavailableException">The server cannot be reached now.</exception>
    /// <exception cref="PoolTransportException">It refuses this client, or speaks another protocol.</exception>
    public async ValueTask<PoolConnection> GetAsync(CancellationToken cancellationToken)
    {
        Task first;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
            if (_connection is not null || _failure is not null)
            {
                return CurrentUnsynchronized();
            }

            _run ??= Task.Run(RunAsync, CancellationToken.None);
            first = _attempt.Task;
        }

        await first.WaitAsync(cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            return CurrentUnsynchronized();
        }
    }

    /// <summary>After a connection was lost: the outcome of the next attempt, which is made within the reconnect interval.</summary>
    /// <inheritdoc cref="GetAsync"/>
    public async Task<PoolConnection> GetNextAsync(PoolConnection lost, CancellationToken cancellationToken)
    {
        Task next;
        lock (_gate)
        {
            if (_connection is { } current && current != lost)
            {
                return CurrentUnsynchronized();
            }

            next = _attempt.Task;
        }

        await next.WaitAsync(cancellationToken).ConfigureAwait(false);
        lock (_gate)
        {
            return CurrentUnsynchronized();
        }
    }

    /// <summary>The connection that stands, or comes by the next attempt; null if none does in time, or none was ever asked for.</summary>
    public async Task<PoolConnection?> FindAsync(TimeSpan timeout)
    {
        Task next;
        lock (_gate)
        {
            if (_run is null || _connection is { Lost.IsCancellationRequested: false })
            {
                return _connection;
            }

            next = _attempt.Task;
        }

        await Task.WhenAny(next, Task.Delay(timeout, time, _stopping.Token)).ConfigureAwait(false);
        lock (_gate)
        {
            return _connection;
        }
    }

    /// <summary>Closes the connection. What the session holds is the observer's affair.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? run;
        lock (_gate)
        {
            run = _run;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        if (run is not null)
        {
            await run.ConfigureAwait(false);
        }
    }

    private static TaskCompletionSource NewAttempt() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private PoolConnection CurrentUnsynchronized()
    {
        ObjectDisposedException.ThrowIf(_stopping.IsCancellationRequested, this);
        if (_connection is { Lost.IsCancellationRequested: false } connection)
        {
            return connection;
        }

        if (_failure is PoolProtocolException or PoolRequestRejectedException)
        {
            ExceptionDispatchInfo.Throw(_failure);
        }

        throw new PoolServerUnavailableException(
            options.EndPoint.ToString(), $"The pool server cannot be reached; a connection is tried in the background. {_failure?.Message}", _failure);
    }

    private async Task RunAsync()
    {
        for (var attempt = 0; !_stopping.IsCancellationRequested; attempt++)
        {
            var started = time.GetTimestamp();
            var failure = await ConnectAndServeAsync().ConfigureAwait(false);
            if (_stopping.IsCancellationRequested)
            {
                break;
            }

            var longest = options.ReconnectInterval * (1 << MaxDoublings);
            if (time.GetElapsedTime(started) > longest)
            {
                attempt = 0; // it had worked: the next loss is a new one
            }

            var delay = options.ReconnectInterval * (1 << Math.Min(attempt, MaxDoublings)) * (0.5 + (Random.Shared.NextDouble() / 2));
            if (failure is PinnedMemoryException)
            {
                TransportLog.ConnectFailed(logger, options.EndPoint, delay, failure.Message);
            }
            else
            {
                TransportLog.ClientFailed(logger, failure, options.EndPoint, delay);
            }

            await DelayAsync(delay).ConfigureAwait(false);
        }

        Publish(null, new ObjectDisposedException(nameof(PoolClient)));
    }

    /// <summary>One connection, from its making to its end; answers why it ended.</summary>
    private async Task<Exception> ConnectAndServeAsync()
    {
        PoolConnection? connection = null;
        Exception reason;
        try
        {
            connection = await PoolConnection.OpenAsync(options, transport, _session, time, _stopping.Token).ConfigureAwait(false);
            _session = connection.Session;
            await observer.ConnectedAsync(connection, _stopping.Token).ConfigureAwait(false);
            TransportLog.Connected(logger, options.EndPoint, connection.Session, connection.Hello.Resumed);
            Publish(connection, null);
            observer.Answered();
            reason = await ServeAsync(connection).ConfigureAwait(false);
            lock (_gate)
            {
                (_connection, _failure) = (null, reason);
            }

            if (!_stopping.IsCancellationRequested && !connection.IsEnding)
            {
                TransportLog.ConnectionLost(logger, options.EndPoint, reason.Message);
            }
        }
        catch (Exception failure) // a defect must not end the attempts: it is reported, and told to those who ask
        {
            reason = failure;
            Publish(null, failure);
        }

        if (connection is not null)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }

        return reason;
    }

    /// <summary>The outcome of an attempt; whoever waits for the next one waits on.</summary>
    private void Publish(PoolConnection? connection, Exception? failure)
    {
        TaskCompletionSource attempt;
        lock (_gate)
        {
            _connection = connection;
            _failure = failure;
            attempt = _attempt;
            _attempt = NewAttempt();
        }

        attempt.TrySetResult();
    }

    private async Task<Exception> ServeAsync(PoolConnection connection)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(connection.Lost, _stopping.Token);
        var beat = BeatAsync(connection, end.Token);
        var listen = ListenAsync(connection, end.Token);
        var first = await Task.WhenAny(beat, listen).ConfigureAwait(false);
        connection.Fail();
        await Task.WhenAll(beat, listen).ConfigureAwait(false);
        return await first.ConfigureAwait(false);
    }

    /// <summary>Gives signs of life, until the server does not answer one.</summary>
    private async Task<Exception> BeatAsync(PoolConnection connection, CancellationToken cancellationToken)
    {
        var interval = TimeSpan.FromMilliseconds(connection.Hello.RenewIntervalMs);
        try
        {
            while (true)
            {
                await Task.Delay(interval, time, cancellationToken).ConfigureAwait(false);
                await connection.CallAsync(
                    PoolMethod.Renew, new RenewRequest { Session = connection.SessionBytes }, RenewReply.Parser, TimeSpan.Zero, cancellationToken)
                    .ConfigureAwait(false);
                observer.Answered();
            }
        }
        catch (Exception failure)
        {
            return Explain(failure);
        }
    }

    private async Task<Exception> ListenAsync(PoolConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var happened in connection.WatchAsync(cancellationToken).ConfigureAwait(false))
            {
                observer.Happened(happened);
            }

            return new PoolServerUnavailableException(options.EndPoint.ToString(), "The server ended the session.");
        }
        catch (Exception failure)
        {
            return Explain(failure);
        }
    }

    private Exception Explain(Exception failure) => failure switch
    {
        PoolFaultException fault when FaultCodec.IsSessionUnknown(fault) =>
            new PoolServerUnavailableException(options.EndPoint.ToString(), fault.Message, fault),
        PoolFaultException fault => FaultCodec.ToException(fault, options.EndPoint, 0),
        OperationCanceledException => new PoolServerUnavailableException(options.EndPoint.ToString(), "The connection was closed."),
        _ => failure,
    };

    private async Task DelayAsync(TimeSpan delay)
    {
        try
        {
            await Task.Delay(delay, time, _stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It stops.
        }
    }
}
