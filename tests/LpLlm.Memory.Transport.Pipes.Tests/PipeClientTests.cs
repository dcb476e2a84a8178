using System.Net.Sockets;
using LpLlm.Memory.TestKit;

namespace LpLlm.Memory.Transport.Pipes;

/// <summary>A client whose server keeps to no protocol.</summary>
public sealed class PipeClientTests : IDisposable
{
    private readonly SocketDirectory _directory = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public PipeClientTests()
    {
        _listener.Bind(new UnixDomainSocketEndPoint(_directory.SocketFile));
        _listener.Listen(0);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("LPOOL\u0002\0\0")]
    [InlineData("LPOOL\u0001\0\u0001\0\0\0\0\0\0\0\0\u0002\0\0\0")]
    public async Task Row30_ServerOfAnotherProtocolOrVersion_IsATypedError(string greeting)
    {
        var connecting = ConnectAsync();
        using var server = await _listener.AcceptAsync().DefaultTimeout();

        await server.SendAsync(System.Text.Encoding.Latin1.GetBytes(greeting)).DefaultTimeout();

        await connecting.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<PoolProtocolException>();
    }

    [Fact]
    public async Task ServerThatClosesAtOnce_IsUnavailable()
    {
        var connecting = ConnectAsync();
        (await _listener.AcceptAsync().DefaultTimeout()).Dispose();

        await connecting.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
    }

    [Fact]
    public async Task ServerThatSaysNothing_IsWaitedForUntilTheTokenFires()
    {
        using var source = new CancellationTokenSource();
        var connecting = ConnectAsync(null, source.Token);
        using var server = await _listener.AcceptAsync().DefaultTimeout();
        connecting.IsCompleted.Should().BeFalse();

        await source.CancelAsync();

        await connecting.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task ServerWhoseQueueIsFull_IsTriedAgainUntilThereIsRoomOrTheTokenFires()
    {
        var waiting = new List<Task<PoolChannel>>();
        using var source = new CancellationTokenSource();
        for (var i = 0; i < 8; i++)
        {
            waiting.Add(ConnectAsync(null, source.Token));
        }

        for (var i = 0; i < 4; i++)
        {
            using var server = await _listener.AcceptAsync().DefaultTimeout();
            await server.SendAsync(Preface.Create()).DefaultTimeout();
            var connected = await Task.WhenAny(waiting).DefaultTimeout();
            waiting.Remove(connected);
            await (await connected).DisposeAsync();
        }

        await source.CancelAsync();
        foreach (var connecting in waiting)
        {
            await connecting.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        }
    }

    [Fact]
    public async Task ServerThatBreaksTheProtocolLater_FailsRunningAndLaterCalls()
    {
        var (channel, server) = await OpenAsync();
        using var _ = server;
        await using var opened = channel;
        var call = channel.SendAsync(PoolMethod.List, new PoolMessage("x"u8.ToArray()), default).AsTask();

        await server.SendAsync(RawClient.Frame(1, 0, (FrameKind)77)).DefaultTimeout();

        await call.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<PoolProtocolException>();
        await TestTimeouts.UntilAsync(() => channel.Closed.IsCancellationRequested);
        await channel.Awaiting(c => c.SendAsync(PoolMethod.List, new PoolMessage("x"u8.ToArray()), default).DefaultTimeout())
            .Should().ThrowAsync<PoolProtocolException>();
    }

    [Fact]
    public async Task ServerThatStopsInTheMiddleOfAReply_IsGivenUp()
    {
        var (channel, server) = await OpenAsync(new PoolTransportLimits { ReadTimeout = TimeSpan.FromMilliseconds(200) });
        using var _ = server;
        await using var opened = channel;
        var call = channel.SendAsync(PoolMethod.List, new PoolMessage("x"u8.ToArray()), default).AsTask();

        await server.SendAsync(RawClient.Frame(1, 100, FrameKind.Reply).AsMemory(0, 50)).DefaultTimeout();

        await call.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<PoolServerUnavailableException>();
    }

    [Fact]
    public async Task FramesOfCallsThatAreUnknown_AreDropped()
    {
        var (channel, server) = await OpenAsync();
        using var _ = server;
        await using var opened = channel;
        var call = channel.SendAsync(PoolMethod.List, new PoolMessage("x"u8.ToArray()), default).AsTask();

        await server.SendAsync((byte[])[
            .. RawClient.Frame(99, 3, FrameKind.Reply), .. RawClient.Frame(97, 3, FrameKind.Event), .. RawClient.Frame(98, 0, FrameKind.End),
            .. RawClient.Frame(1, 3, FrameKind.Reply)]).DefaultTimeout();

        (await call.DefaultTimeout()).Payload.Length.Should().Be(3);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public async Task FrameOfAWatchForACallWithOneReply_BreaksTheProtocol(byte kind)
    {
        var (channel, server) = await OpenAsync();
        using var _ = server;
        await using var opened = channel;
        var call = channel.SendAsync(PoolMethod.List, new PoolMessage("x"u8.ToArray()), default).AsTask();

        await server.SendAsync(RawClient.Frame(1, 0, (FrameKind)kind)).DefaultTimeout();

        await call.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<PoolProtocolException>();
    }

    [Fact]
    public async Task WatchWhoseReaderIsSlow_FailsInsteadOfTakingMemory()
    {
        var (channel, server) = await OpenAsync(new PoolTransportLimits { MaxUnsentBytes = 10_000 });
        using var _ = server;
        await using var opened = channel;
        await using var events = channel.WatchAsync(new PoolMessage("x"u8.ToArray()), default).GetAsyncEnumerator();
        var first = events.MoveNextAsync();
        for (var i = 0; i < 20; i++)
        {
            await server.SendAsync(RawClient.Frame(1, 1000, FrameKind.Event)).DefaultTimeout();
        }

        (await first.DefaultTimeout()).Should().BeTrue();
        var act = async () =>
        {
            while (await events.MoveNextAsync())
            {
                await Task.Delay(10);
            }
        };

        await act.Awaiting(a => a().DefaultTimeout()).Should().ThrowAsync<PoolFaultException>();
    }

    private async Task<(PoolChannel Channel, Socket Server)> OpenAsync(PoolTransportLimits? limits = null)
    {
        var connecting = ConnectAsync(limits);
        var server = await _listener.AcceptAsync().DefaultTimeout();
        await server.SendAsync(Preface.Create()).DefaultTimeout();
        return (await connecting.DefaultTimeout(), server);
    }

    private Task<PoolChannel> ConnectAsync(PoolTransportLimits? limits = null, CancellationToken cancellationToken = default) =>
        new PipeTransport(limits).ConnectAsync(_directory.EndPoint, cancellationToken).AsTask();
}
