using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>Calls as bytes and headers: for all that a proper client never sends.</summary>
internal sealed class RawGrpcClient : IDisposable
{
    private readonly HttpMessageInvoker _http;
    private readonly Uri _base;

    public RawGrpcClient(Uri endPoint)
    {
        var handler = new SocketsHttpHandler();
        if (endPoint.Scheme == GrpcEndPoint.Unix)
        {
            handler.ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(endPoint.AbsolutePath), token);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }

        _http = new HttpMessageInvoker(handler);
        _base = new Uri(endPoint.Scheme == GrpcEndPoint.Unix ? "http://localhost" : $"http://{endPoint.Authority}");
    }

    public static byte[] Frame(params byte[] message)
    {
        var bytes = new byte[Wire.GrpcFrame.HeaderLength + message.Length];
        Wire.GrpcFrame.WriteHeader(bytes, message.Length);
        message.CopyTo(bytes, Wire.GrpcFrame.HeaderLength);
        return bytes;
    }

    public async Task<RawGrpcReply> CallAsync(string path, HttpContent content, Action<HttpRequestMessage>? change = null, CancellationToken cancellationToken = default)
    {
        using var response = await SendAsync(path, content, change, cancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        return new RawGrpcReply(response.StatusCode, response.Headers, response.TrailingHeaders, body);
    }

    /// <summary>The reply's start; who calls reads the rest, or does not.</summary>
    public async Task<HttpResponseMessage> SendAsync(
        string path, HttpContent content, Action<HttpRequestMessage>? change = null, CancellationToken cancellationToken = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_base, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        change?.Invoke(request);
        return await _http.SendAsync(request, cancellationToken);
    }

    public Task<RawGrpcReply> CallAsync(string path, byte[] body, Action<HttpRequestMessage>? change = null) => CallAsync(path, new ByteArrayContent(body), change);

    public void Dispose() => _http.Dispose();
}
