using System.IO.Pipes;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes.Windows;
using LpLlm.Memory.Transport.Windows;

namespace LpLlm.Memory.Windows;

/// <summary>What a named pipe does that a socket does otherwise.</summary>
public sealed class NamedPipeTests
{
    private readonly PooledTransport _transport = new();

    [Theory]
    [InlineData("pipe:///sllm-store", "sllm-store")]
    [InlineData("pipe:///sllm-store-S-1-5-21-1-2-3-1000", "sllm-store-S-1-5-21-1-2-3-1000")]
    public void FindName_OfAnEndPoint_IsThePipes(string endPoint, string name) =>
        new NamedPipes(TimeProvider.System).FindName(new Uri(endPoint)).Should().Be(name);

    [Theory]
    [InlineData("pipe:///")]
    [InlineData("pipe:///run/sllm/pool.sock")]
    [InlineData("pipe:///run%5Cpool")]
    [InlineData("pipe://server/pool")]
    [InlineData("pipe:///pool?x=1")]
    [InlineData("grpc:///pool")]
    public async Task ConnectAsync_EndPointThatIsNoName_SaysWhatOneLooksLike(string endPoint) =>
        (await _transport.Awaiting(t => t.ConnectAsync(new Uri(endPoint), default).AsTask()).Should().ThrowAsync<ArgumentException>())
            .WithMessage("*pipe:///sllm-store*");

    [Fact]
    public async Task BindAsync_ForOtherUsers_IsRefused() =>
        (await _transport.Awaiting(t => t.BindAsync(PipeNames.Next(), new Peers { AdmitsOtherUsers = true }, default).AsTask())
            .Should().ThrowAsync<InvalidOperationException>()).WithMessage("*AllowedUsers*");

    [Fact]
    public async Task Accept_OfThisProcess_KnowsWhoItIs()
    {
        var peers = new Peers();
        var endPoint = PipeNames.Next();
        await using var listener = await _transport.BindAsync(endPoint, peers, default).DefaultTimeout();

        await using var channel = await _transport.ConnectAsync(endPoint, default).DefaultTimeout();

        peers.Last!.ProcessId.Should().Be(Environment.ProcessId);
        peers.Last.UserId.Should().Be(WindowsUser.Id);
        peers.Last.PassesFiles.Should().BeTrue();
        peers.Last.IsThisProcess.Should().BeTrue();
        peers.Last.Exited!.IsCompleted.Should().BeFalse();
    }

    [Fact]
    public async Task BindAsync_AClientStillHoldsTheDeadServersPipe_Listens()
    {
        var endPoint = PipeNames.Next();
        await using var first = await _transport.BindAsync(endPoint, new Peers(), default).DefaultTimeout();
        using var stopped = new NamedPipeClientStream(".", endPoint.LocalPath[1..], PipeDirection.InOut, PipeOptions.Asynchronous);
        await stopped.ConnectAsync().DefaultTimeout();
        await first.DisposeAsync().DefaultTimeout();

        await using var second = await _transport.BindAsync(endPoint, new Peers(), default).DefaultTimeout();

        await using var channel = await _transport.ConnectAsync(endPoint, default).DefaultTimeout();
    }

    [Fact]
    public async Task Receive_PacketThatAnnouncesTooMuch_EndsTheConnection()
    {
        var endPoint = PipeNames.Next();
        await using var listener = await _transport.BindAsync(endPoint, new Peers(), default).DefaultTimeout();
        await using var raw = new NamedPipeClientStream(".", endPoint.LocalPath[1..], PipeDirection.InOut, PipeOptions.Asynchronous);
        await raw.ConnectAsync().DefaultTimeout();

        await raw.WriteAsync(new byte[] { 255, 255, 255, 127, 0, 0, 0, 0 }).DefaultTimeout();

        var rest = new byte[64];
        while (await raw.ReadAsync(rest).DefaultTimeout() > 0)
        {
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(0x7FFFFFF0)]
    public async Task Receive_NumberThatIsNoHandle_EndsTheConnection(long number)
    {
        var peers = new Peers();
        var endPoint = PipeNames.Next();
        await using var listener = await _transport.BindAsync(endPoint, peers, default).DefaultTimeout();
        await using var raw = new NamedPipeClientStream(".", endPoint.LocalPath[1..], PipeDirection.InOut, PipeOptions.Asynchronous);
        await raw.ConnectAsync().DefaultTimeout();

        await raw.WriteAsync((byte[])[1, 0, 0, 0, 1, 0, 0, 0, .. BitConverter.GetBytes(number), (byte)'L']).DefaultTimeout();

        var rest = new byte[64];
        while (await raw.ReadAsync(rest).DefaultTimeout() > 0)
        {
        }
    }

    private sealed class Peers : IPoolConnectionHandler
    {
        public bool AdmitsOtherUsers { get; init; }

        public PoolPeer? Last { get; private set; }

        public IPoolConnection Accept(PoolPeer peer)
        {
            Last = peer;
            return new Silent();
        }

        private sealed class Silent : IPoolConnection
        {
            public ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken) =>
                ValueTask.FromResult(new PoolMessage(request.Payload));

            public async IAsyncEnumerable<PoolMessage> WatchAsync(
                PoolMessage request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
                yield break;
            }

            public void Closed()
            {
            }
        }
    }
}
