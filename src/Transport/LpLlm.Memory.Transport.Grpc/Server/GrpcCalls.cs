using System.Buffers;
using System.IO.Pipelines;
using LpLlm.Memory.Transport.Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>Carries calls out: token, limits, deadline, request, method, replies. Every failure is thrown.</summary>
/// <param name="methods">By path.</param>
/// <param name="limits">What a client may take.</param>
/// <param name="token">What clients on TCP must know; null if nothing.</param>
/// <param name="logger">For clients that are cut off.</param>
/// <param name="stopping">Fires when the listener is disposed: calls are cut off.</param>
internal sealed class GrpcCalls(
    IReadOnlyDictionary<string, GrpcMethod> methods, PoolTransportLimits limits, AccessToken? token, ILogger logger, CancellationToken stopping)
{
    /// <summary>Longer replies are counted until Kestrel has passed them on; shorter ones fit its buffer for each stream.</summary>
    private const int CountedReplyBytes = 16 << 10;

    /// <summary>Written at a time, so that a reply does not lie in Kestrel as a whole once more: half of its buffer.</summary>
    private const int PieceBytes = KestrelSettings.ReplyBufferBytes / 2;

    public async Task RunAsync(HttpContext context, GrpcConnection connection)
    {
        if (!connection.TryBeginCall())
        {
            throw new PoolFaultException(
                PoolFaultCode.ResourceExhausted, $"{limits.MaxCallsPerConnection} calls are under way on this connection, which is {nameof(limits.MaxCallsPerConnection)}.");
        }

        try
        {
            var headerBytes = HeaderBytes(context.Request.Headers);
            connection.Take(headerBytes);
            try
            {
                await RunWithinDeadlineAsync(context, connection).ConfigureAwait(false);
            }
            finally
            {
                connection.Held.Return(headerBytes);
            }
        }
        finally
        {
            // Before the reply's end is sent: a client that has read it may call again.
            connection.EndCall();
        }
    }

    /// <summary>They stay as long as the call.</summary>
    private static int HeaderBytes(IHeaderDictionary headers)
    {
        var characters = 0;
        foreach (var (name, values) in headers)
        {
            characters += name.Length;
            foreach (var value in values)
            {
                characters += value?.Length ?? 0;
            }
        }

        return characters * sizeof(char);
    }

    /// <summary>After the pace is taken: tokens cannot be tried out faster than calls can be made.</summary>
    private GrpcMethod Admit(HttpContext context, GrpcConnection connection)
    {
        if (token is not null && !connection.IsVouchedFor && !token.Admits(context.Request.Headers.Authorization))
        {
            throw new PoolFaultException(PoolFaultCode.Unauthenticated, "This server asks for an access token, and got none or a wrong one. Set AccessToken.");
        }

        connection.Admit();
        return methods.GetValueOrDefault(context.Request.Path.Value ?? "")
            ?? throw new PoolFaultException(PoolFaultCode.Unimplemented, $"There is no method '{context.Request.Path}' here.");
    }

    private async Task RunWithinDeadlineAsync(HttpContext context, GrpcConnection connection)
    {
        using var deadline = new CancellationTokenSource();
        using var call = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping, deadline.Token);
        if ((string?)context.Request.Headers[GrpcNames.Timeout] is { } text)
        {
            deadline.CancelAfter(GrpcTimeout.TryParse(text, out var timeout)
                ? timeout
                : throw new PoolFaultException(PoolFaultCode.InvalidArgument, $"{GrpcNames.Timeout} is '{text}'; up to 8 digits and one of HMSmun are expected."));
        }

        try
        {
            await PaceAsync(connection, call.Token).ConfigureAwait(false);
            var method = Admit(context, connection);
            if (method.MinMessageBytes > limits.MaxMessageBytes)
            {
                await connection.LongMessages.WaitAsync(call.Token).ConfigureAwait(false);
                try
                {
                    await ExchangeAsync(context, connection, method, call.Token).ConfigureAwait(false);
                }
                finally
                {
                    connection.LongMessages.Release();
                }
            }
            else
            {
                await ExchangeAsync(context, connection, method, call.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (call.IsCancellationRequested)
        {
            if (stopping.IsCancellationRequested)
            {
                // A status would be an answer of the handler; a lost connection is "unavailable" to every client.
                connection.Abort();
            }

            throw context.RequestAborted.IsCancellationRequested || stopping.IsCancellationRequested
                ? new PoolFaultException(PoolFaultCode.Cancelled, "The call was cut off.")
                : new PoolFaultException(PoolFaultCode.DeadlineExceeded, "The call's deadline has passed.");
        }
    }

    private static Task PaceAsync(GrpcConnection connection, CancellationToken cancellationToken) =>
        connection.TakePace() is { Ticks: > 0 } delay ? Task.Delay(delay, cancellationToken) : Task.CompletedTask;

    private async Task ExchangeAsync(HttpContext context, GrpcConnection connection, GrpcMethod method, CancellationToken cancellationToken)
    {
        var heldBytes = 0;
        try
        {
            while (await ReceiveAsync(context, method, Announced, cancellationToken).ConfigureAwait(false) is { } request)
            {
                if (method.IsStream && !context.Response.HasStarted)
                {
                    await context.Response.StartAsync(cancellationToken).ConfigureAwait(false);
                }

                await foreach (var reply in method.Replies(connection, request, cancellationToken).ConfigureAwait(false))
                {
                    await SendAsync(context.Response.BodyWriter, connection, method, reply, cancellationToken).ConfigureAwait(false);
                }

                if (!method.TakesMany)
                {
                    return;
                }

                connection.Held.Return(heldBytes);
                heldBytes = 0;
                await PaceAsync(connection, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            connection.Held.Return(heldBytes);
        }

        void Announced(int lengthBytes)
        {
            connection.Take(lengthBytes);
            heldBytes += lengthBytes;
        }
    }

    /// <summary>
    /// Reads the request: of a unary call to the end of its stream, of another the next message (the client may keep its side open). Null at the end of
    /// many; the time for a message is also what a client may be silent between them.
    /// </summary>
    private async Task<byte[]?> ReceiveAsync(HttpContext context, GrpcMethod method, Action<int> announced, CancellationToken cancellationToken)
    {
        using var timely = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timely.CancelAfter(limits.ReadTimeout);
        try
        {
            var (reader, maxMessageBytes) = (context.Request.BodyReader, MaxMessageBytes(method));
            var request = await GrpcFrame.ReadAsync(reader, maxMessageBytes, announced, timely.Token).ConfigureAwait(false);
            if (request is null && !method.TakesMany)
            {
                throw new PoolFaultException(PoolFaultCode.Internal, "The call has no request message.");
            }

            return method.IsStream || await GrpcFrame.ReadAsync(reader, maxMessageBytes, announced, timely.Token).ConfigureAwait(false) is null
                ? request
                : throw new PoolFaultException(PoolFaultCode.Internal, "The call has more than one request message.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolFaultException(PoolFaultCode.DeadlineExceeded, $"The request did not arrive within {limits.ReadTimeout}.");
        }
        catch (IOException)
        {
            throw new PoolFaultException(PoolFaultCode.Cancelled, "The caller reset the stream within its request.");
        }
    }

    private int MaxMessageBytes(GrpcMethod method) => Math.Max(limits.MaxMessageBytes, method.MinMessageBytes);

    private async ValueTask SendAsync(
        PipeWriter writer, GrpcConnection connection, GrpcMethod method, ReadOnlyMemory<byte> reply, CancellationToken cancellationToken)
    {
        var maxMessageBytes = MaxMessageBytes(method);
        if (reply.Length > maxMessageBytes)
        {
            throw GrpcFrame.TooLong(reply.Length, maxMessageBytes);
        }

        var isCounted = reply.Length > CountedReplyBytes;
        if (isCounted)
        {
            connection.Take(reply.Length);
        }

        var unsentBytes = connection.AddUnsent(reply.Length);
        try
        {
            if (unsentBytes > Math.Max(limits.MaxUnsentBytes, maxMessageBytes))
            {
                GrpcLog.ReadsNothing(logger, connection.Peer.Description, unsentBytes, limits.MaxUnsentBytes);
                connection.Abort();
                return;
            }

            GrpcFrame.WriteHeader(writer.GetSpan(GrpcFrame.HeaderLength), reply.Length);
            writer.Advance(GrpcFrame.HeaderLength);
            for (var rest = reply; rest.Length > 0;)
            {
                var piece = rest[..Math.Min(rest.Length, PieceBytes)];
                writer.Write(piece.Span);
                rest = rest[piece.Length..];
                if (isCounted)
                {
                    await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
                }
            }

            if (method.IsStream && !isCounted)
            {
                await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            connection.AddUnsent(-reply.Length);
            if (isCounted)
            {
                connection.Held.Return(reply.Length);
            }
        }
    }
}
