using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using LpLlm.Memory.Transport.Grpc.Messages;
using LpLlm.Memory.Transport.Grpc.Server;
using LpLlm.Memory.Transport.Grpc.Wire;
using LpLlm.Memory.Transport.Sockets;

namespace LpLlm.Memory.Transport.Grpc.Client;

/// <summary>Calls over one HTTP/2 connection, which is made anew when it is lost.</summary>
internal sealed class GrpcChannel : PoolChannel
{
    /// <summary>As the server's: a dead host is noticed within 20 s.</summary>
    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(10);

    private readonly CancellationTokenSource _closed = new();
    private readonly HttpMessageInvoker _http;
    private readonly GrpcTransportSettings _settings;
    private readonly Uri _base;
    private volatile bool _hasAnswered;

    public GrpcChannel(Uri endPoint, GrpcTransportSettings settings)
    {
        (EndPoint, _settings) = (endPoint, settings);

        // Some servers refuse an authority that is a path: on Unix sockets it is always "localhost".
        var isUnix = endPoint.Scheme == GrpcEndPoint.Unix;
        _base = new Uri(isUnix ? "http://localhost" : $"http://{endPoint.Authority}");
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            EnableMultipleHttp2Connections = false,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = PingInterval,
            KeepAlivePingTimeout = PingInterval,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.Always,
        };
        if (isUnix)
        {
            var path = GrpcEndPoint.PathOf(endPoint);
            var address = new UnixDomainSocketEndPoint(path);
            handler.ConnectCallback = (_, cancellationToken) => ConnectAsync(address, path, cancellationToken);
        }

        _http = new HttpMessageInvoker(handler);
    }

    public override Uri EndPoint { get; }

    public override bool PassesFiles => false;

    public override CancellationToken Closed => _closed.Token;

    /// <summary>Connects, by asking whether a pool is served there.</summary>
    public async ValueTask GreetAsync(CancellationToken cancellationToken)
    {
        var request = new HealthCheckRequest { Service = GrpcNames.PoolService };
        byte[] reply;
        try
        {
            reply = await CallAsync($"/{GrpcNames.HealthService}/Check", request.ToByteArray(), cancellationToken).ConfigureAwait(false);
        }
        catch (PoolFaultException e) when (e.Code is PoolFaultCode.NotFound or PoolFaultCode.Unimplemented)
        {
            throw new PoolProtocolException(EndPoint.ToString(), $"A gRPC server listens there, but not a pool's: {e.Message}", e);
        }

        _hasAnswered = true;
        if (GrpcMethod.Parse(HealthCheckResponse.Parser, reply).Status is not HealthCheckResponse.Types.ServingStatus.Serving)
        {
            throw new PoolServerUnavailableException(EndPoint.ToString(), "The server is about to stop.");
        }
    }

    public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (method is PoolMethod.Watch || !Enum.IsDefined(method))
        {
            throw new ArgumentOutOfRangeException(nameof(method), method, "It is not a call with one reply.");
        }

        Check(request);
        return new PoolMessage(await CallAsync(GrpcNames.PathOf(method), request.Payload, cancellationToken).ConfigureAwait(false));
    }

    public override async IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        Check(request);
        using var call = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closed.Token);
        await using var reply = await GuardAsync(
            () => OpenAsync(GrpcNames.PathOf(PoolMethod.Watch), request.Payload, call.Token), cancellationToken).ConfigureAwait(false);
        while (await GuardAsync(() => reply.ReadAsync(call.Token), cancellationToken).ConfigureAwait(false) is { } message)
        {
            yield return new PoolMessage(message);
        }
    }

    public override ValueTask DisposeAsync()
    {
        _closed.Cancel();
        _http.Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask<Stream> ConnectAsync(UnixDomainSocketEndPoint address, string path, CancellationToken cancellationToken)
    {
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(address, cancellationToken).ConfigureAwait(false);
                ServerUser.Check(socket, path, EndPoint);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock)
            {
                // The server's backlog is full: unlike TCP, a Unix socket does not wait for room.
                socket.Dispose();
                await Task.Delay(RetryDelay, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private void Check(PoolMessage request)
    {
        if (request.Files.Count > 0)
        {
            throw new PoolFaultException(PoolFaultCode.Unimplemented, "HTTP/2 carries no descriptors; use the pipe transport.");
        }

        if (request.Payload.Length > _settings.Limits.MaxMessageBytes)
        {
            throw GrpcFrame.TooLong(request.Payload.Length, _settings.Limits.MaxMessageBytes);
        }
    }

    private async ValueTask<byte[]> CallAsync(string path, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        using var call = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _closed.Token);
        return await GuardAsync(CallAsync, cancellationToken).ConfigureAwait(false);

        async ValueTask<byte[]> CallAsync()
        {
            await using var reply = await OpenAsync(path, request, call.Token).ConfigureAwait(false);
            var message = await reply.ReadAsync(call.Token).ConfigureAwait(false)
                ?? throw new InvalidDataException("The call succeeded without a reply.");
            return await reply.ReadAsync(call.Token).ConfigureAwait(false) is null
                ? message
                : throw new InvalidDataException("The call has more than one reply.");
        }
    }

    private async ValueTask<GrpcReply> OpenAsync(string path, ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_base, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new GrpcContent(message),
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.TryAddWithoutValidation(GrpcNames.AcceptEncoding, "identity");
        if (_settings.AccessToken is { } token && EndPoint.Scheme == GrpcEndPoint.Tcp)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        return await GrpcReply.OpenAsync(response, _settings.Limits.MaxMessageBytes, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Passes on what the server says and the caller's cancellation; all else is about the connection.</summary>
    private async ValueTask<T> GuardAsync<T>(Func<ValueTask<T>> call, CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        try
        {
            return await call().ConfigureAwait(false);
        }
        catch (PoolFaultException)
        {
            throw;
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (Exception) when (_closed.IsCancellationRequested)
        {
            throw Disposed();
        }
        catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException)
        {
            throw GrpcFailure.Of(e, EndPoint, _hasAnswered);
        }
    }

    private void ThrowIfClosed()
    {
        if (_closed.IsCancellationRequested)
        {
            throw Disposed();
        }
    }

    private PoolServerUnavailableException Disposed() => new(EndPoint.ToString(), "The channel is disposed.");
}
