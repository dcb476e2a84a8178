using System.Runtime.CompilerServices;
using Google.Protobuf;
using LpLlm.Memory.Transport.Messages;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Client;

/// <summary>A channel on which hello was said. Every call has a deadline; a connection that is lost stays lost.</summary>
internal sealed class PoolConnection : IAsyncDisposable
{
    /// <summary>How long a call may take before the server is asked for a sign of life, and how long it has to give it.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(500);

    private readonly PoolChannel _channel;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _lost;
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _users;
    private bool _closing;

    private PoolConnection(PoolChannel channel, HelloReply hello, Token session, Token epoch, TimeSpan timeout, TimeProvider time)
    {
        _channel = channel;
        _timeout = timeout;
        _time = time;
        _lost = CancellationTokenSource.CreateLinkedTokenSource(channel.Closed);
        Lost = _lost.Token;
        Hello = hello;
        Session = session;
        Epoch = epoch;
    }

    public Uri EndPoint => _channel.EndPoint;

    public bool PassesFiles => _channel.PassesFiles;

    public HelloReply Hello { get; }

    /// <summary>The client has said goodbye, or is about to: the connection's end is no loss.</summary>
    public bool IsEnding { get; set; }

    public Token Session { get; }

    /// <summary>New with every start of the server.</summary>
    public Token Epoch { get; }

    /// <summary>For requests.</summary>
    public ByteString SessionBytes => Hello.Session;

    /// <summary>Fires when the connection is lost, or given up.</summary>
    public CancellationToken Lost { get; }

    /// <summary>Whether it was given up because the server gives no sign of life: asking again at once would only wait longer.</summary>
    public bool IsSilent { get; private set; }

    /// <summary>Connects and says hello.</summary>
    /// <param name="options">Where to, who, and how long one call may take.</param>
    /// <param name="transport">Of the end point.</param>
    /// <param name="session">To resume; empty for a new one.</param>
    /// <param name="time">For the deadlines.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="PoolServerUnavailableException">Nobody is there, or does not answer in time.</exception>
    /// <exception cref="PoolProtocolException">What is there speaks another version, or another protocol.</exception>
    /// <exception cref="PoolRequestRejectedException">The server does not let this client in.</exception>
    public static async Task<PoolConnection> OpenAsync(
        PoolClientOptions options, PoolTransport transport, Token session, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(options.RequestTimeout, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        PoolChannel? channel = null;
        try
        {
            channel = await transport.ConnectAsync(options.EndPoint, end.Token).ConfigureAwait(false);
            var request = new HelloRequest
            {
                MinVersion = PoolProtocol.Version,
                MaxVersion = PoolProtocol.Version,
                ClientName = options.ClientName,
                Session = session.IsEmpty ? ByteString.Empty : ByteString.CopyFrom(session.ToBytes()),
            };
            using var message = await channel.SendAsync(PoolMethod.Hello, new PoolMessage(request.ToByteArray()), end.Token).ConfigureAwait(false);
            var hello = Parse(HelloReply.Parser, message, options.EndPoint);
            if (hello.Version != PoolProtocol.Version
                || hello.RenewIntervalMs is < 1 or > int.MaxValue
                || !Token.TryParse(hello.Session.Span, out var opened)
                || !Token.TryParse(hello.Epoch.Span, out var epoch))
            {
                throw new PoolProtocolException(
                    options.EndPoint.ToString(),
                    $"The server's hello makes no sense: version {hello.Version}, heartbeats every {hello.RenewIntervalMs} ms, a session of "
                    + $"{hello.Session.Length} and an epoch of {hello.Epoch.Length} bytes.");
            }

            var connection = new PoolConnection(channel, hello, opened, epoch, options.RequestTimeout, time);
            channel = null;
            return connection;
        }
        catch (PoolFaultException refused)
        {
            throw refused.Code == PoolFaultCode.FailedPrecondition
                ? new PoolProtocolException(options.EndPoint.ToString(), refused.Message, refused)
                : FaultCodec.ToException(refused, options.EndPoint, 0);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolServerUnavailableException(
                options.EndPoint.ToString(), $"The server did not answer within {options.RequestTimeout.TotalSeconds:0.###} s.");
        }
        finally
        {
            if (channel is not null)
            {
                await channel.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// Keeps <see cref="DisposeAsync"/> from returning until <see cref="Exit"/>: what a reply has brought is recorded before the next connection
    /// compares what both sides hold.
    /// </summary>
    /// <exception cref="PoolServerUnavailableException">The connection is lost.</exception>
    public void Enter()
    {
        lock (_gate)
        {
            if (!_closing)
            {
                _users++;
                return;
            }
        }

        throw LostConnection();
    }

    public void Exit()
    {
        lock (_gate)
        {
            if (--_users > 0 || !_closing)
            {
                return;
            }
        }

        _drained.TrySetResult();
    }

    /// <summary>Gives the connection up.</summary>
    public void Fail() => _lost.Cancel();

    /// <summary>A call with a reply that carries no descriptors.</summary>
    /// <exception cref="PoolFaultException">The server's answer is an error, but for the session's end and for going away.</exception>
    /// <exception cref="PoolServerUnavailableException">The connection or the session is lost, or the answer late; whether the server acted is not known.</exception>
    /// <exception cref="PoolProtocolException">The answer makes no sense.</exception>
    public async Task<T> CallAsync<T>(
        PoolMethod method, IMessage request, MessageParser<T> parser, TimeSpan extra, CancellationToken cancellationToken, params SafeFileHandle[] files)
        where T : IMessage<T>
    {
        using var message = await SendAsync(method, request, extra, files, cancellationToken).ConfigureAwait(false);
        return Parse(parser, message, EndPoint);
    }

    /// <summary>A call that is answered with a lease.</summary>
    /// <inheritdoc cref="CallAsync"/>
    public async Task<LeaseAnswer> CallForLeaseAsync(
        PoolMethod method, IMessage request, TimeSpan extra, CancellationToken cancellationToken, params SafeFileHandle[] files)
    {
        using var message = await SendAsync(method, request, extra, files, cancellationToken).ConfigureAwait(false);
        return LeaseAnswer.From(Parse(LeaseReply.Parser, message, EndPoint), message, EndPoint);
    }

    /// <summary>A call that is answered with a model.</summary>
    /// <inheritdoc cref="CallAsync"/>
    public async Task<ModelAnswer> CallForModelAsync(OpenModelRequest request, TimeSpan extra, CancellationToken cancellationToken)
    {
        using var message = await SendAsync(PoolMethod.OpenModel, request, extra, [], cancellationToken).ConfigureAwait(false);
        return ModelAnswer.From(Parse(OpenModelReply.Parser, message, EndPoint), message, EndPoint);
    }

    /// <summary>What the server wants, until the connection is lost.</summary>
    public async IAsyncEnumerable<WatchEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new PoolMessage(new WatchRequest { Session = SessionBytes }.ToByteArray());
        await foreach (var message in _channel.WatchAsync(request, cancellationToken).ConfigureAwait(false))
        {
            using (message)
            {
                yield return Parse(WatchEvent.Parser, message, EndPoint);
            }
        }
    }

    /// <summary>Ends all calls, and waits until those who have entered have left.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _closing = true;
            if (_users == 0)
            {
                _drained.TrySetResult();
            }
        }

        await _lost.CancelAsync().ConfigureAwait(false);
        await _channel.DisposeAsync().ConfigureAwait(false);
        await _drained.Task.ConfigureAwait(false);
    }

    private static T Parse<T>(MessageParser<T> parser, PoolMessage message, Uri endPoint)
        where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(message.Payload.Span);
        }
        catch (InvalidProtocolBufferException malformed)
        {
            throw new PoolProtocolException(endPoint.ToString(), $"The server's answer is malformed: {malformed.Message}", malformed);
        }
    }

    private async Task<PoolMessage> SendAsync(
        PoolMethod method, IMessage request, TimeSpan extra, SafeFileHandle[] files, CancellationToken cancellationToken)
    {
        var timeout = _timeout + extra;
        using var deadline = new CancellationTokenSource(timeout, _time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken, Lost);
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(end.Token);
        var probing = Task.CompletedTask;
        try
        {
            var call = _channel.SendAsync(method, new PoolMessage(request.ToByteArray(), files), end.Token);
            probing = call.IsCompleted ? probing : ProbeAsync(answered.Token);
            return await call.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Lost.IsCancellationRequested
                ? LostConnection()
                : new PoolServerUnavailableException(
                    EndPoint.ToString(), $"The server did not answer {method} within {timeout.TotalSeconds:0.###} s. It may be overloaded: look at its log.");
        }
        catch (PoolServerUnavailableException) when (_channel.Closed.IsCancellationRequested)
        {
            Fail(); // the channel's own signal may still be on its way, and callers ask whether this connection is lost
            throw;
        }
        catch (PoolFaultException fault) when (fault.Code == PoolFaultCode.Cancelled && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(fault.Message, fault, cancellationToken); // by this end: the answer crossed the caller's wish
        }
        catch (PoolFaultException fault)
            when (fault.Code is PoolFaultCode.Unavailable or PoolFaultCode.Cancelled || FaultCodec.IsSessionUnknown(fault))
        {
            // Nobody here cancelled: the server has ended the connection or the session. Hello must be said again.
            if (fault.Code != PoolFaultCode.Unavailable)
            {
                Fail();
            }

            throw new PoolServerUnavailableException(EndPoint.ToString(), fault.Message, fault);
        }
        finally
        {
            await answered.CancelAsync().ConfigureAwait(false);
            await probing.ConfigureAwait(false);
        }
    }

    /// <summary>
    /// A server that is just busy with a call answers others; one that does not hangs, and whoever waits for it would hang with it for the whole
    /// deadline. So the connection is given up within a second.
    /// </summary>
    private async Task ProbeAsync(CancellationToken callEnded)
    {
        try
        {
            do
            {
                await Task.Delay(Silence, _time, callEnded).ConfigureAwait(false);
            }
            while (await GivesSignOfLifeAsync(callEnded).ConfigureAwait(false));

            IsSilent = true;
            Fail();
        }
        catch (Exception ended) when (ended is OperationCanceledException or PoolTransportException)
        {
            // With the call, or with the connection, which the call is told as well.
        }
    }

    private async Task<bool> GivesSignOfLifeAsync(CancellationToken callEnded)
    {
        var asked = _time.GetTimestamp();
        using var deadline = new CancellationTokenSource(Silence, _time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, callEnded);
        try
        {
            using var answer = await _channel.SendAsync(
                PoolMethod.Renew, new PoolMessage(new RenewRequest { Session = SessionBytes }.ToByteArray()), end.Token).ConfigureAwait(false);
            return true;
        }
        catch (PoolFaultException)
        {
            return true; // a refusal is an answer
        }
        catch (OperationCanceledException) when (!callEnded.IsCancellationRequested)
        {
            // A deadline that fires late says that this process is short of threads, and nothing of the server.
            return _time.GetElapsedTime(asked) >= 2 * Silence;
        }
    }

    private PoolServerUnavailableException LostConnection() => new(
        EndPoint.ToString(),
        IsSilent
            ? $"The server gave no sign of life for {Silence.TotalMilliseconds:0} ms: it hangs or was stopped. A new connection is tried in the background."
            : "The connection is lost; a new one is tried in the background.");
}
