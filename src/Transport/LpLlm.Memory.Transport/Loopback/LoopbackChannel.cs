using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LpLlm.Memory.Transport.Server;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Loopback;

/// <summary>Both ends of a connection within one process.</summary>
internal sealed class LoopbackChannel(
    Uri endPoint, ConnectionCalls calls, bool passesFiles, PoolTransportLimits limits, TimeProvider time, Action<LoopbackChannel> forget) : PoolChannel
{
    /// <summary>Events under way to a reader; past them the server waits.</summary>
    private const int MaxEvents = 16;

    private readonly CancellationTokenSource _closed = new();
    private readonly RequestRate _rate = new(limits.MaxRequestsPerSecond, time);

    public override Uri EndPoint => endPoint;

    public override bool PassesFiles => passesFiles;

    public override CancellationToken Closed => _closed.Token;

    public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
    {
        ChannelArguments.CheckUnary(method, request);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closed.Token);
        Task<PoolMessage>? answer = null;
        try
        {
            end.Token.ThrowIfCancellationRequested();
            var sent = await EncodeAsync(request, end.Token).ConfigureAwait(false);
            answer = AnswerAsync(method, sent, cancellationToken);
            return await answer.WaitAsync(end.Token).ConfigureAwait(false);
        }
        catch (Exception) when (end.IsCancellationRequested)
        {
            _ = answer?.ContinueWith(
                static late => late.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw Ended(cancellationToken);
        }
    }

    public override async IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ChannelArguments.Check(request);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closed.Token);
        var events = Channel.CreateBounded<PoolMessage>(MaxEvents);
        try
        {
            if (!end.IsCancellationRequested)
            {
                var sent = await EncodeAsync(request, end.Token).ConfigureAwait(false);
                _ = PumpAsync(sent, events.Writer, end.Token);
            }

            while (await NextAsync(events.Reader, end.Token, cancellationToken).ConfigureAwait(false) is { } next)
            {
                yield return next;
            }
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            _ = DropAsync(events.Reader);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        await calls.DisposeAsync().ConfigureAwait(false);
        forget(this);
    }

    private static async Task DropAsync(ChannelReader<PoolMessage> events)
    {
        while (await events.WaitToReadAsync().ConfigureAwait(false))
        {
            while (events.TryRead(out var late))
            {
                late.Dispose();
            }
        }
    }

    /// <summary>What the other end gets: its own bytes and its own descriptors.</summary>
    private static PoolMessage Copy(PoolMessage message)
    {
        var files = new List<SafeFileHandle>(message.Files.Count);
        try
        {
            foreach (var file in message.Files)
            {
                files.Add(Descriptors.Duplicate(file));
            }
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }

        return new PoolMessage(message.Payload.ToArray(), [.. files]);
    }

    private async ValueTask<PoolMessage> EncodeAsync(PoolMessage request, CancellationToken cancellationToken)
    {
        ChannelArguments.CheckLimits(request, limits.MaxMessageBytes, passesFiles);
        TimeSpan wait;
        lock (_rate)
        {
            wait = _rate.Take();
        }

        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
        }

        return Copy(request);
    }

    private async Task<PoolMessage> AnswerAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
    {
        using var call = calls.CreateCall(cancellationToken);
        var reply = await calls.HandleAsync(method, request, call.Token).ConfigureAwait(false);
        return Encode(reply);
    }

    private PoolMessage Encode(PoolMessage reply)
    {
        try
        {
            ChannelArguments.CheckLimits(reply, limits.MaxMessageBytes, passesFiles);
            return Copy(reply);
        }
        catch (Exception e)
        {
            throw calls.Explain(e, CancellationToken.None);
        }
        finally
        {
            reply.Hold?.Dispose();
        }
    }

    private async Task PumpAsync(PoolMessage request, ChannelWriter<PoolMessage> events, CancellationToken cancellationToken)
    {
        using var call = calls.CreateCall(cancellationToken);
        try
        {
            await foreach (var next in calls.WatchAsync(request, call.Token).ConfigureAwait(false))
            {
                var sent = Encode(next);
                if (!events.TryWrite(sent))
                {
                    try
                    {
                        await events.WriteAsync(sent, cancellationToken).ConfigureAwait(false);
                    }
                    catch
                    {
                        sent.Dispose();
                        throw;
                    }
                }
            }

            events.Complete();
        }
        catch (Exception e)
        {
            events.Complete(calls.Explain(e, cancellationToken));
        }
    }

    private async ValueTask<PoolMessage?> NextAsync(ChannelReader<PoolMessage> events, CancellationToken end, CancellationToken cancellationToken)
    {
        try
        {
            end.ThrowIfCancellationRequested();
            return await events.WaitToReadAsync(end).ConfigureAwait(false) && events.TryRead(out var next) ? next : null;
        }
        catch (Exception) when (end.IsCancellationRequested)
        {
            throw Ended(cancellationToken);
        }
    }

    private Exception Ended(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested
            ? new OperationCanceledException(cancellationToken)
            : new PoolServerUnavailableException(endPoint.AbsoluteUri, "The connection is closed.");
}
