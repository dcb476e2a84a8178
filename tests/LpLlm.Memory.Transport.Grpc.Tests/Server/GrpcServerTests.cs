using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>What other clients than ours may send, call by call.</summary>
public sealed class GrpcServerTests : IAsyncLifetime, IDisposable
{
    private const string Renew = "/lpllm.memory.v1.Pool/Renew";
    private const string Acquire = "/lpllm.memory.v1.Pool/Acquire";
    private static readonly PoolTransportLimits Limits = new() { MaxMessageBytes = 8 << 20, ReadTimeout = TimeSpan.FromSeconds(1) };
    private readonly EchoHandler _handler = new();
    private PoolListener _listener = null!;
    private RawGrpcClient _client = null!;

    public async Task InitializeAsync()
    {
        _listener = await new GrpcTransport("grpc", new GrpcTransportSettings { Limits = Limits }).BindAsync(new Uri("grpc://127.0.0.1:0"), _handler, default);
        _client = new RawGrpcClient(_listener.EndPoint);
    }

    public async Task DisposeAsync() => await _listener.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task Call_WithoutTe_Works()
    {
        var reply = await _client.CallAsync(Renew, RawGrpcClient.Frame(1, 2)).DefaultTimeout();

        reply.Status.Should().Be("0");
        reply.IsTrailersOnly.Should().BeFalse();
        reply.Body.Should().Equal(RawGrpcClient.Frame(1, 2));
    }

    [Fact]
    public async Task Call_MessageLongerThanHttp2sWindows_Works()
    {
        var message = new byte[8 << 20];
        new Random(1).NextBytes(message);

        var reply = await _client.CallAsync(Renew, RawGrpcClient.Frame(message)).DefaultTimeout();

        reply.Status.Should().Be("0");
        reply.Body.AsSpan(5).SequenceEqual(message).Should().BeTrue();
    }

    [Theory]
    [InlineData("application/grpc+proto", HttpStatusCode.OK)]
    [InlineData("application/grpc;charset=utf-8", HttpStatusCode.OK)]
    [InlineData("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData(null, HttpStatusCode.UnsupportedMediaType)]
    public async Task Call_ContentType_IsGrpcOr415(string? type, HttpStatusCode expected)
    {
        var reply = await _client.CallAsync(
            Renew, RawGrpcClient.Frame(), request => request.Content!.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type)).DefaultTimeout();

        reply.Http.Should().Be(expected);
    }

    [Fact]
    public async Task Call_ByAnotherVerb_Is405()
    {
        var reply = await _client.CallAsync(Renew, RawGrpcClient.Frame(), request => request.Method = HttpMethod.Put).DefaultTimeout();

        reply.Http.Should().Be(HttpStatusCode.MethodNotAllowed);
    }

    [Theory]
    [InlineData("/lpllm.memory.v1.Pool/Nothing")]
    [InlineData("/lpllm.memory.v1.Pool/0")]
    [InlineData("/lpllm.memory.v1.Pool/renew")]
    [InlineData("/")]
    [InlineData("/storage.Storage/FreePoolMemory")]
    public async Task Call_UnknownMethod_IsUnimplementedInTrailersOnly(string path)
    {
        var reply = await _client.CallAsync(path, RawGrpcClient.Frame()).DefaultTimeout();

        reply.Status.Should().Be("12");
        reply.Text.Should().Contain(path);
        reply.IsTrailersOnly.Should().BeTrue();
    }

    [Fact]
    public async Task Call_CompressedMessage_IsUnimplementedAndTellsWhatIsAccepted()
    {
        var reply = await _client.CallAsync(Renew, [1, 0, 0, 0, 1, 42]).DefaultTimeout();

        reply.Status.Should().Be("12");
        reply.Header("grpc-accept-encoding").Should().Be("identity");
    }

    [Theory]
    [InlineData(new byte[0], "13")]
    [InlineData(new byte[] { 0, 0, 0 }, "13")]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 }, "13")]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "13")]
    [InlineData(new byte[] { 7, 0, 0, 0, 0 }, "13")]
    [InlineData(new byte[] { 0, 255, 255, 255, 255 }, "8")]
    [InlineData(new byte[] { 0, 127, 255, 255, 255 }, "8")]
    [InlineData(new byte[] { 0, 128, 0, 0, 0 }, "8")]
    public async Task Call_BodyIsNotOneMessage_IsAnErrorInTrailersOnly(byte[] body, string status)
    {
        var reply = await _client.CallAsync(Renew, body).DefaultTimeout();

        reply.Status.Should().Be(status);
        reply.IsTrailersOnly.Should().BeTrue();
        (await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("0");
    }

    [Fact]
    public async Task Call_Claims40MiB_IsRefusedBeforeTheyAreSent()
    {
        var body = new StalledContent([0, 2, 128, 0, 0, 1, 2, 3]);

        var reply = await _client.CallAsync(Renew, body).DefaultTimeout();

        reply.Status.Should().Be("8");
        reply.Text.Should().Contain("41943040").And.Contain("MaxMessageBytes");
        body.End();
    }

    [Fact]
    public async Task Row07_BodyThatStalls_EndsThatCallOnly()
    {
        var stalled = new StalledContent([0, 0, 0, 0, 9, 1]);
        var call = _client.CallAsync(Renew, stalled).DefaultTimeout();

        while (!call.IsCompleted)
        {
            (await _client.CallAsync(Renew, RawGrpcClient.Frame(5)).DefaultTimeout()).Status.Should().Be("0");
        }

        (await call).Status.Should().Be("4");
        _handler.ClosedCount.Should().Be(0);
        stalled.End();
    }

    [Theory]
    [InlineData("1n")]
    [InlineData("50m")]
    [InlineData("100000u")]
    [InlineData("0S")]
    public async Task Call_WithTimeout_EndsWithDeadlineExceeded(string timeout)
    {
        var reply = await _client.CallAsync(Acquire, RawGrpcClient.Frame(), request => request.Headers.Add("grpc-timeout", timeout)).DefaultTimeout();

        reply.Status.Should().Be("4");
        reply.IsTrailersOnly.Should().BeTrue();
    }

    [Theory]
    [InlineData("soon")]
    [InlineData("123456789S")]
    [InlineData("-1S")]
    public async Task Call_WithMalformedTimeout_IsInvalid(string timeout)
    {
        var reply = await _client.CallAsync(Renew, RawGrpcClient.Frame(), request => request.Headers.Add("grpc-timeout", timeout)).DefaultTimeout();

        reply.Status.Should().Be("3");
        reply.Text.Should().Contain(timeout);
    }

    [Fact]
    public async Task Call_ClientResetsTheStream_CancelsTheHandler()
    {
        using var source = new CancellationTokenSource();
        var call = _client.CallAsync(Acquire, new ByteArrayContent(RawGrpcClient.Frame()), cancellationToken: source.Token);
        await _handler.Waiting.Task.DefaultTimeout();

        await source.CancelAsync();

        await _handler.Cancelled.Task.DefaultTimeout();
        await call.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        (await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("0");
    }

    [Theory]
    [InlineData("")]
    [InlineData("PRI * HTTP/2.0\r\n")]
    public async Task Row07_ClientSaysTooLittle_IsDisconnected(string start)
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes(start));

        (await ReadToEndAsync(socket).DefaultTimeout()).Should().BeEmpty();

        await TestTimeouts.UntilAsync(() => _handler.ClosedCount == 1);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    [InlineData("\0\0\0\0")]
    public async Task Row30_AnotherProtocol_IsDisconnectedAtOnce(string start)
    {
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes(start));

        (await ReadToEndAsync(socket).DefaultTimeout()).Should().BeEmpty();
        (await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("0");
    }

    [Fact]
    public async Task Row30_GarbageAfterThePreface_EndsThatConnectionOnly()
    {
        var random = new Random(30);
        var garbage = new byte[300];
        for (var round = 0; round < 50; round++)
        {
            random.NextBytes(garbage);
            using var socket = await ConnectAsync();
            await socket.SendAsync(Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            await socket.SendAsync(garbage);
            socket.Shutdown(SocketShutdown.Send);
            await ReadToEndAsync(socket).DefaultTimeout();
        }

        (await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("0");
    }

    /// <summary>Kestrel looks for idle connections once a second; an infinite timeout once overflowed and ended them all.</summary>
    [Fact]
    public async Task Connection_IdleForSomeHeartbeats_Stays()
    {
        await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout();

        await Task.Delay(TimeSpan.FromSeconds(3.5));

        _handler.ClosedCount.Should().Be(0);
        await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout();
        _handler.Peers.Should().ContainSingle("it is the same connection");
    }

    [Fact]
    public async Task Accept_OnLoopback_KnowsTheProcessAndItsUser()
    {
        await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout();

        var peer = _handler.Peers.Should().ContainSingle().Which;
        peer.ProcessId.Should().Be(Environment.ProcessId);
        peer.UserId.Should().Be(Sockets.SocketNative.GetUserId());
        peer.IsThisProcess.Should().BeTrue();
        peer.PassesFiles.Should().BeFalse();
        peer.Exited!.IsCompleted.Should().BeFalse();
        peer.Description.Should().Contain("127.0.0.1");
    }

    [Fact]
    public async Task Accept_ClientThatHasSaidAll_IsKnownAllTheSame()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!);
        client.Shutdown(SocketShutdown.Send);
        using var accepted = await listener.AcceptAsync();

        var peer = await LoopbackTcpPeer.IdentifyAsync(accepted, _ => true, TimeSpan.FromSeconds(30), default);

        peer.UserId.Should().Be(Sockets.SocketNative.GetUserId());
        peer.ProcessId.Should().Be(Environment.ProcessId);
        (await LoopbackTcpPeer.IdentifyAsync(accepted, _ => false, TimeSpan.FromSeconds(30), default)).ProcessId.Should().BeNull("that user's processes are not searched");
        (await LoopbackTcpPeer.IdentifyAsync(accepted, _ => true, TimeSpan.Zero, default)).UserId.Should().Be(peer.UserId, "the time is for the process only");
    }

    [Fact]
    public async Task Accept_WhileAnotherUsersProcessesAreSearched_IsNotHeldUp()
    {
        var others = LoopbackTcpPeer.SearchOf(4_242);
        await others.WaitAsync().DefaultTimeout();

        await _client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout();

        _handler.Peers.Should().ContainSingle().Which.ProcessId.Should().Be(Environment.ProcessId);
        others.Release();
    }

    [Fact]
    public async Task Accept_ClientThatCannotBeTold_IsRefused()
    {
        await using var listener = await BindAsync(new GrpcTransportSettings { Limits = Limits with { MaxConnections = 1 } });
        using var first = await ConnectAsync(listener);
        await TestTimeouts.UntilAsync(() => _handler.Peers.Count == 1);

        // In the backlog until the first goes; of what no process holds the kernel tells no user.
        (await ConnectAsync(listener)).Dispose();
        first.Dispose();
        using var last = new RawGrpcClient(listener.EndPoint);
        (await last.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("0");

        _handler.Peers.Should().HaveCount(2).And.OnlyContain(peer => peer.UserId != null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Row7_Http2ClientThatMakesNoCall_IsDisconnected(bool isRefused)
    {
        _handler.Refusal = isRefused ? new PoolFaultException(PoolFaultCode.PermissionDenied, "no") : null;
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        await socket.SendAsync(new byte[] { 0, 0, 0, 4, 0, 0, 0, 0, 0 });

        (await ReadToEndAsync(socket).DefaultTimeout()).Should().NotBeEmpty("HTTP/2 was spoken");
    }

    /// <summary>Whoever can reach the port can be refused as often as he likes.</summary>
    [Fact]
    public async Task Accept_Refused_IsNotLoggedForTheOperator()
    {
        _handler.Refusal = new PoolFaultException(PoolFaultCode.PermissionDenied, "no");
        var log = new CollectingLogger();
        using var provider = new CollectingLoggerProvider(log);
        using var loggers = LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(provider));
        await using var listener = await new GrpcTransport("grpc", new GrpcTransportSettings { Limits = Limits }, loggers: loggers)
            .BindAsync(new Uri("grpc://127.0.0.1:0"), _handler, default);
        using var client = new RawGrpcClient(listener.EndPoint);

        (await client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("7");

        log.Entries.Should().Contain(entry => entry.Message.Contains("is refused")).And.NotContain(entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public async Task Call_WithoutTheToken_EndsItsConnection()
    {
        await using var listener = await BindAsync(new GrpcTransportSettings { Limits = Limits, AccessToken = "0123456789abcdef" });
        using var client = new RawGrpcClient(listener.EndPoint);

        (await client.CallAsync(Renew, RawGrpcClient.Frame()).DefaultTimeout()).Status.Should().Be("16");

        await TestTimeouts.UntilAsync(() => _handler.ClosedCount == 1);
    }

    [Fact]
    public async Task Call_WithoutTheToken_CountsForTheRate()
    {
        await using var listener = await BindAsync(new GrpcTransportSettings { Limits = Limits with { MaxRequestsPerSecond = 1 }, AccessToken = "0123456789abcdef" });
        using var client = new RawGrpcClient(listener.EndPoint);

        var replies = await Task.WhenAll(Enumerable.Range(0, 4).Select(
            _ => client.CallAsync(Renew, RawGrpcClient.Frame(), request => request.Headers.Add("grpc-timeout", "300m")).DefaultTimeout()));

        replies.Select(reply => reply.Status).Should().Contain("4", "who has to wait for the rate learns nothing of the token");
    }

    private async Task<PoolListener> BindAsync(GrpcTransportSettings settings) =>
        await new GrpcTransport("grpc", settings).BindAsync(new Uri("grpc://127.0.0.1:0"), _handler, default);

    private static async Task<byte[]> ReadToEndAsync(Socket socket)
    {
        using var all = new MemoryStream();
        var buffer = new byte[1024];
        try
        {
            while (await socket.ReceiveAsync(buffer) is > 0 and var count)
            {
                all.Write(buffer, 0, count);
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset)
        {
            // Closed with bytes of ours unread: an end as well.
        }

        return all.ToArray();
    }

    private async Task<Socket> ConnectAsync(PoolListener? listener = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, (listener ?? _listener).EndPoint.Port);
        return socket;
    }
}
