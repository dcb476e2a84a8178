using System.Net;
using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>What the contract of all transports does not say: where to listen, tokens, and servers of another kind.</summary>
public sealed class GrpcTransportTests : IDisposable
{
    private const string Token = "0123456789abcdef0123456789abcdef";
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("grpc");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData("grpc://0.0.0.0:0", false, null)]
    [InlineData("grpc://[::]:0", false, Token)]
    [InlineData("grpc://0.0.0.0:0", true, null)]
    [InlineData("grpc://192.0.2.1:0", false, null)]
    public async Task BindAsync_BeyondLoopback_NeedsBothPermissionAndToken(string endPoint, bool allowRemote, string? token)
    {
        var transport = Tcp(new GrpcTransportSettings { AllowRemote = allowRemote, AccessToken = token });

        (await transport.Awaiting(t => t.BindAsync(new Uri(endPoint), new EchoHandler(), default).AsTask()).Should().ThrowAsync<InvalidOperationException>())
            .WithMessage("*AllowRemote*AccessToken*");
    }

    [Fact]
    public async Task BindAsync_BeyondLoopbackWithBoth_Listens()
    {
        var transport = Tcp(new GrpcTransportSettings { AllowRemote = true, AccessToken = Token });
        await using var listener = await transport.BindAsync(new Uri("grpc://0.0.0.0:0"), new EchoHandler(), default);

        await using var channel = await transport.ConnectAsync(new Uri($"grpc://127.0.0.1:{listener.EndPoint.Port}"), default).DefaultTimeout();

        (await channel.SendAsync(PoolMethod.Renew, new PoolMessage(new byte[] { 7 }), default).DefaultTimeout()).Payload.ToArray().Should().Equal(7);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("fedcba9876543210fedcba9876543210")]
    public async Task ConnectAsync_WithoutTheToken_IsUnauthenticated(string? token)
    {
        await using var listener = await Tcp(new GrpcTransportSettings { AccessToken = Token }).BindAsync(new Uri("grpc://127.0.0.1:0"), new EchoHandler(), default);

        var fault = await Tcp(new GrpcTransportSettings { AccessToken = token }).Awaiting(t => t.ConnectAsync(listener.EndPoint, default).DefaultTimeout())
            .Should().ThrowAsync<PoolFaultException>();

        fault.Which.Code.Should().Be(PoolFaultCode.Unauthenticated);
        fault.Which.Message.Should().NotContain(Token);
    }

    [Fact]
    public async Task ConnectAsync_OnAUnixSocket_NeedsNoToken()
    {
        await using var listener = await Unix(new GrpcTransportSettings { AccessToken = Token }).BindAsync(UnixEndPoint, new EchoHandler(), default);

        await using var channel = await Unix(new GrpcTransportSettings()).ConnectAsync(UnixEndPoint, default).DefaultTimeout();
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", true)]
    [InlineData("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", true)]
    [InlineData("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", false)]
    public async Task ConnectAsync_SomethingElseListens_IsAProtocolError(string answer, bool waitsForTheClient)
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        server.Listen();
        var serving = Task.Run(async () =>
        {
            using var socket = await server.AcceptAsync();
            var buffer = new byte[1024];
            if (waitsForTheClient)
            {
                await socket.ReceiveAsync(buffer);
            }

            await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(answer));
            while (await socket.ReceiveAsync(buffer) > 0)
            {
            }
        });

        // HttpClient may find its own side of the handshake broken before it has read what was answered: then it is a server that cannot be reached.
        var failure = await Tcp(new GrpcTransportSettings()).Awaiting(t => t.ConnectAsync(new Uri($"grpc://{server.LocalEndPoint}"), default).DefaultTimeout())
            .Should().ThrowAsync<PoolTransportException>();
        (failure.Which is PoolProtocolException || (waitsForTheClient && failure.Which is PoolServerUnavailableException)).Should().BeTrue(failure.Which.Message);
        await serving.Awaiting(s => s.DefaultTimeout()).Should().NotThrowAsync<TimeoutException>();
    }

    [Theory]
    [InlineData("grpc://127.0.0.1")]
    [InlineData("grpc://127.0.0.1:1/path")]
    [InlineData("grpc://user@127.0.0.1:1")]
    [InlineData("grpc://127.0.0.1:1?x")]
    [InlineData("grpc+unix:///path")]
    [InlineData("http://127.0.0.1:1")]
    public async Task ConnectAsync_EndPointIsNotOfTheForm_Throws(string endPoint) =>
        await Tcp(new GrpcTransportSettings()).Awaiting(t => t.ConnectAsync(new Uri(endPoint), default).AsTask()).Should().ThrowAsync<ArgumentException>();

    [Fact]
    public async Task Row16_StaleSocketFile_IsReplaced_AndASecondServerIsRefused()
    {
        using (var stale = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            stale.Bind(new UnixDomainSocketEndPoint(UnixEndPoint.AbsolutePath + "x"));
            File.Move(UnixEndPoint.AbsolutePath + "x", UnixEndPoint.AbsolutePath);
        }

        await using var first = await Unix(new GrpcTransportSettings()).BindAsync(UnixEndPoint, new EchoHandler(), default);

        (await Unix(new GrpcTransportSettings()).Awaiting(t => t.BindAsync(UnixEndPoint, new EchoHandler(), default).AsTask())
            .Should().ThrowAsync<InvalidOperationException>()).WithMessage($"*process {Environment.ProcessId}*");
        await using var channel = await Unix(new GrpcTransportSettings()).ConnectAsync(UnixEndPoint, default).DefaultTimeout();
    }

    [Fact]
    public async Task Row16_PlainFileOrLiveStranger_IsNotReplaced()
    {
        await File.WriteAllTextAsync(UnixEndPoint.AbsolutePath, "precious");
        await Unix(new GrpcTransportSettings()).Awaiting(t => t.BindAsync(UnixEndPoint, new EchoHandler(), default).AsTask())
            .Should().ThrowAsync<InvalidOperationException>();
        (await File.ReadAllTextAsync(UnixEndPoint.AbsolutePath)).Should().Be("precious");
        File.Delete(UnixEndPoint.AbsolutePath);

        using var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        stranger.Bind(new UnixDomainSocketEndPoint(UnixEndPoint.AbsolutePath));
        stranger.Listen();
        await Unix(new GrpcTransportSettings()).Awaiting(t => t.BindAsync(UnixEndPoint, new EchoHandler(), default).AsTask())
            .Should().ThrowAsync<InvalidOperationException>();
    }

    [Fact]
    public async Task Row17_DisposeOfTheListener_RemovesItsOwnFileOnly()
    {
        var listener = await Unix(new GrpcTransportSettings()).BindAsync(UnixEndPoint, new EchoHandler(), default);
        File.Delete(UnixEndPoint.AbsolutePath);
        await File.WriteAllTextAsync(UnixEndPoint.AbsolutePath, "another's");

        await listener.DisposeAsync();

        File.Exists(UnixEndPoint.AbsolutePath).Should().BeTrue();
        File.Delete(UnixEndPoint.AbsolutePath);
        await using (await Unix(new GrpcTransportSettings()).BindAsync(UnixEndPoint, new EchoHandler(), default))
        {
        }

        File.Exists(UnixEndPoint.AbsolutePath).Should().BeFalse();
    }

    [Fact]
    public async Task Row23_SocketFile_IsItsUsersAlone()
    {
        await using var listener = await Unix(new GrpcTransportSettings()).BindAsync(UnixEndPoint, new EchoHandler(), default);

        if (!OperatingSystem.IsWindows())
        {
            File.GetUnixFileMode(UnixEndPoint.AbsolutePath).Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    [Fact]
    public async Task Row23_FolderThatOthersMayWrite_IsRefused()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_directory.FullName, (UnixFileMode)0x1FF);
        }

        (await Unix(new GrpcTransportSettings()).Awaiting(t => t.BindAsync(UnixEndPoint, new EchoHandler(), default).AsTask())
            .Should().ThrowAsync<InvalidOperationException>()).WithMessage("*chmod go-w*");
    }

    [SkippableFact]
    public async Task Row23_ServerOfAnotherUserInTmp_IsNoServer()
    {
        Skip.IfNot(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "Only root can listen as somebody else.");
        using var impostor = Impostor.Listen(UnixEndPoint.AbsolutePath);

        (await Unix(new GrpcTransportSettings()).Awaiting(t => t.ConnectAsync(UnixEndPoint, default).DefaultTimeout())
            .Should().ThrowAsync<PoolProtocolException>()).WithMessage($"*{Impostor.UserId}*");
    }

    private Uri UnixEndPoint => new($"grpc+unix://{_directory.FullName}/pool.sock");

    private static GrpcTransport Tcp(GrpcTransportSettings settings) => new("grpc", settings);

    private static GrpcTransport Unix(GrpcTransportSettings settings) => new("grpc+unix", settings);
}
