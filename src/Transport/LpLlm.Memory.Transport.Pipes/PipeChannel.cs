using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>The client's end of a connection.</summary>
internal sealed class PipeChannel : PoolChannel
{
    private readonly Uri _endPoint;
    private readonly PipeLink _link;
    private readonly PoolTransportLimits _limits;
    private readonly FrameInput _input;
    private readonly FrameOutput _output;
    private readonly ConcurrentDictionary<uint, PendingCall> _calls = new();
    private readonly CancellationTokenSource _closed = new();
    private Exception? _reason;
    private Task _reading = Task.CompletedTask;
    private uint _lastCall;

    private PipeChannel(Uri endPoint, PipeLink link, PoolTransportLimits limits, TimeProvider time)
    {
        _endPoint = endPoint;
        _link = link;
        _limits = limits;
        _output = new FrameOutput(link, limits.MaxUnsentBytes, e => Close(Lost(e.Message, e)));
        _input = new FrameInput(
            link, new FrameDecoder(fromClient: false, limits.MaxMessageBytes), files: null, limits.ReadTimeout, time,
            () => Close(Lost($"The server did not end a message within {limits.ReadTimeout.TotalSeconds:0.#} s (ReadTimeout).")));
        Closed = _closed.Token;
    }

    public override Uri EndPoint => _endPoint;

    public override bool PassesFiles => true;

    public override CancellationToken Closed { get; }

    /// <summary>Greets the server on a connected link, which the channel takes over.</summary>
    public static async ValueTask<PipeChannel> OpenAsync(
        Uri endPoint, PipeLink link, PoolTransportLimits limits, TimeProvider time, CancellationToken cancellationToken)
    {
        var channel = new PipeChannel(endPoint, link, limits, time);
        try
        {
            await using var registration = cancellationToken.UnsafeRegister(static state => ((PipeChannel)state!)._link.Dispose(), channel).ConfigureAwait(false);
            await channel.GreetAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            var reason = channel.Explain(e);
            channel.Close(reason);
            channel._input.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            throw reason == e ? reason : channel.Explain(e);
        }

        channel._reading = channel.ReadAsync();
        return channel;
    }

    public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
    {
        ChannelArguments.CheckUnary(method, request);
        ChannelArguments.CheckLimits(request, _limits.MaxMessageBytes, passesFiles: true);
        cancellationToken.ThrowIfCancellationRequested();
        var pending = new PendingReply();
        var call = Add(pending);
        Send(call, method, request);
        using var registration = CancelWith(call, cancellationToken);
        return await pending.Task.ConfigureAwait(false);
    }

    public override async IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ChannelArguments.Check(request);
        ChannelArguments.CheckLimits(request, _limits.MaxMessageBytes, passesFiles: true);
        cancellationToken.ThrowIfCancellationRequested();
        var pending = new PendingWatch(_limits.MaxUnsentBytes);
        var call = Add(pending);
        try
        {
            Send(call, PoolMethod.Watch, request);
            using var registration = CancelWith(call, cancellationToken);
            while (await pending.ReadAsync().ConfigureAwait(false) is { } next)
            {
                yield return next;
            }
        }
        finally
        {
            Cancel(call, CancellationToken.None);
            pending.Drop();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        Close(Lost("The connection is closed."));
        await _reading.ConfigureAwait(false);
    }

    private async Task GreetAsync()
    {
        _output.SendRaw(Preface.Create());

        // No deadline but the caller's: a server that is full says nothing until there is room.
        var preface = await _input.ReadPrefaceAsync(hasDeadline: false).ConfigureAwait(false)
            ?? throw Lost("The server closed the connection before it took it.");
        if (Preface.IsRefusal(preface))
        {
            var refusal = await _input.ReadAsync().ConfigureAwait(false);
            throw refusal is { Header.Kind: FrameKind.Fault, Message: { } fault }
                ? FaultPayload.Decode(fault.Payload)
                : new FrameException("The server refused and did not say why.");
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await _input.ReadAsync().ConfigureAwait(false) is { } frame)
            {
                Take(frame);
            }

            Close(Lost("The server closed the connection."));
        }
        catch (Exception e)
        {
            Close(Explain(e));
        }
        finally
        {
            _input.Dispose();
        }
    }

    private void Take(Frame frame)
    {
        var (call, kind) = (frame.Header.Call, frame.Header.Kind);
        if (frame.Message is not { } message)
        {
            Fail(call, new PoolFaultException(
                PoolFaultCode.ResourceExhausted,
                $"The answer has {frame.Header.PayloadBytes} B, more than {_limits.MaxMessageBytes} B (MaxMessageBytes): ask for less at a time."));
        }
        else if (kind is FrameKind.Fault)
        {
            Fail(call, FaultPayload.Decode(message.Payload), tellServer: false);
        }
        else if (!_calls.TryGetValue(call, out var pending))
        {
            // It crossed its call's cancellation.
            message.Dispose();
        }
        else if (pending is PendingReply reply && kind is FrameKind.Reply)
        {
            if (_calls.TryRemove(call, out _))
            {
                reply.Complete(message);
            }
            else
            {
                message.Dispose();
            }
        }
        else if (pending is PendingWatch watch && (kind is FrameKind.Event or FrameKind.End))
        {
            Take(call, watch, kind, message);
        }
        else
        {
            message.Dispose();
            throw new FrameException($"A {kind} frame came for a call that takes none.");
        }
    }

    private void Take(uint call, PendingWatch watch, FrameKind kind, PoolMessage message)
    {
        if (kind is FrameKind.End)
        {
            _calls.TryRemove(call, out _);
            watch.Complete();
        }
        else if (!watch.TryAdd(message))
        {
            message.Dispose();
            Fail(call, new PoolFaultException(
                PoolFaultCode.ResourceExhausted, $"More than {_limits.MaxUnsentBytes} B of events wait for their reader: read faster, and watch anew."));
        }
    }

    private uint Add(PendingCall pending)
    {
        uint call;
        do
        {
            call = Interlocked.Increment(ref _lastCall);
        }
        while (!_calls.TryAdd(call, pending));

        // Whoever closes looks at the table after it has set the reason.
        if (Volatile.Read(ref _reason) is not null && _calls.TryRemove(call, out _))
        {
            throw Reason();
        }

        return call;
    }

    private void Send(uint call, PoolMethod method, PoolMessage request)
    {
        try
        {
            _output.Send(FrameKind.Request, call, method, request.Payload.Span, request.Files);
        }
        catch
        {
            _calls.TryRemove(call, out _);
            throw;
        }
    }

    /// <summary>After the request is sent only: a cancellation must not overtake it.</summary>
    private CancellationTokenRegistration CancelWith(uint call, CancellationToken cancellationToken) =>
        cancellationToken.CanBeCanceled ? cancellationToken.UnsafeRegister((_, token) => Cancel(call, token), null) : default;

    private void Cancel(uint call, CancellationToken cancellationToken) => Fail(call, new OperationCanceledException(cancellationToken));

    private void Fail(uint call, Exception exception, bool tellServer = true)
    {
        if (_calls.TryRemove(call, out var pending))
        {
            pending.Fail(exception);
            if (tellServer)
            {
                _output.Send(FrameKind.Cancel, call, 0, default, []);
            }
        }
    }

    private void Close(Exception reason)
    {
        if (Interlocked.CompareExchange(ref _reason, reason, null) is not null)
        {
            return;
        }

        // First, so that whoever sees its call fail finds the channel closed. Not here: what others do then must not hold up the caller.
        _closed.CancelAsync().ContinueWith(
            static (_, state) => ((CancellationTokenSource)state!).Dispose(), _closed, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        _output.Close();
        _link.Dispose();
        foreach (var call in _calls.Keys)
        {
            if (_calls.TryRemove(call, out var pending))
            {
                pending.Fail(Reason());
            }
        }
    }

    /// <summary>A new exception for each caller: one object must not be thrown twice.</summary>
    private Exception Reason() => _reason switch
    {
        PoolProtocolException protocol => new PoolProtocolException(_endPoint.AbsoluteUri, "The server broke the protocol.", protocol),
        var reason => Lost("The connection is lost.", reason),
    };

    private Exception Explain(Exception exception) => exception switch
    {
        PoolFaultException or PoolServerUnavailableException => exception,
        FrameException => new PoolProtocolException(_endPoint.AbsoluteUri, exception.Message, exception),
        _ => Lost("The connection is lost.", exception),
    };

    private PoolServerUnavailableException Lost(string text, Exception? cause = null) => new(_endPoint.AbsoluteUri, text, cause);
}
