using System.Net;
using System.Net.Sockets;
using LpLlm.Memory.TestKit;
using LpLlm.Memory.Transport.Sockets;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>Descriptors that a client sends only so that closing them takes for ever: a TCP socket that lingers; a file of the client's own file system is another.</summary>
public sealed class ForeignFilesTests : IAsyncLifetime, IDisposable
{
    private const int Attackers = 100;
    private static readonly PoolTransportLimits Limits = new() { ReadTimeout = TimeSpan.FromMinutes(1) };

    private readonly SocketDirectory _directory = new();
    private readonly Socket _sink = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
    private readonly EchoServer _server = new();
    private PoolListener _listener = null!;

    public async Task InitializeAsync()
    {
        _sink.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _sink.Listen(2 * ForeignFiles.MostPending);
        _listener = await new PipeTransport(Limits).BindAsync(new Uri($"pipe://{_directory.SocketFile}"), _server, default);
    }

    public async Task DisposeAsync()
    {
        _sink.Dispose(); // resets them all: nothing lingers any longer
        await _listener.DisposeAsync();
    }

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Row29_DescriptorsThatCannotBeClosed_HoldUpNobodyElse(int announced)
    {
        using var bystander = await RawClient.GreetAsync(_directory.SocketFile);
        for (var i = 0; i < Attackers; i++)
        {
            using var attacker = await RawClient.GreetAsync(_directory.SocketFile);
            Send(attacker, RawClient.Frame(1, 0, files: announced));
        }

        await TestTimeouts.UntilAsync(() => _server.Closed == Attackers);
        await bystander.SendAsync(RawClient.Frame(7, 10));
        (await bystander.ReceiveAsync(FrameHeader.LengthBytes + 10)).Should().NotBeEmpty();
    }

    /// <summary>What is behind a frame that ends the connection is closed with it, unread.</summary>
    [Fact]
    public async Task Row29_DescriptorsThatAreNeverRead_HoldUpNobodyElse()
    {
        using var bystander = await RawClient.GreetAsync(_directory.SocketFile);
        for (var i = 0; i < Attackers; i++)
        {
            using var attacker = await RawClient.GreetAsync(_directory.SocketFile);
            Send(attacker, RawClient.Frame(1, 0, files: 1));
            Send(attacker, RawClient.Frame(2, 0, files: 1));
        }

        await TestTimeouts.UntilAsync(() => _server.Closed == Attackers);
        await bystander.SendAsync(RawClient.Frame(7, 10));
        (await bystander.ReceiveAsync(FrameHeader.LengthBytes + 10)).Should().NotBeEmpty();
    }

    [Fact]
    public async Task UserWithTooManyThatCannotBeClosed_IsNotLetIn_UntilTheyAre()
    {
        const uint user = 4_242;
        var peer = new PoolPeer { Description = "attacker", UserId = user };
        var sut = new UserConnections(maxConnections: 100, ownUserId: 1);
        for (var i = 0; i <= ForeignFiles.MostPending + 1; i++)
        {
            ForeignFiles.Close(CreateLingering(), user);
        }

        sut.Invoking(users => users.Enter(peer)).Should().Throw<PoolFaultException>().Which.Code.Should().Be(PoolFaultCode.ResourceExhausted);
        sut.Enter(new PoolPeer { Description = "another", UserId = user + 1 });

        _sink.Dispose();
        await TestTimeouts.UntilAsync(() => ForeignFiles.CountPending(user) == 0);
        sut.Enter(peer);
    }

    private void Send(RawClient attacker, byte[] frame)
    {
        var lingering = CreateLingering();
        try
        {
            attacker.Send(frame, lingering);
        }
        catch (SocketException)
        {
            // The server has ended the connection.
        }

        // Whoever closes it last waits: not the test.
        new Thread(lingering.Dispose) { IsBackground = true }.Start();
    }

    /// <summary>Connected, with unsent bytes that nobody takes: who closes it last waits a minute.</summary>
    private SafeFileHandle CreateLingering()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { SendBufferSize = 4096, LingerState = new LingerOption(true, 60) };
        socket.Connect(_sink.LocalEndPoint!);
        socket.Blocking = false;
        var bytes = new byte[4096];
        while (socket.Send(bytes, SocketFlags.None, out var error) > 0 && error == SocketError.Success)
        {
        }

        // Its descriptor, without the care that a Socket takes when it is closed.
        var descriptor = socket.SafeHandle.DangerousGetHandle();
        socket.SafeHandle.SetHandleAsInvalid();
        return new SafeFileHandle(descriptor, ownsHandle: true);
    }
}
