using Google.Protobuf;
using LpLlm.Memory.Transport.Grpc.Messages.Reflection;
using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>A call with many requests, over the wire: each has the limits of a call. Reflection is the one that there is.</summary>
public sealed class GrpcRequestStreamTests : IAsyncLifetime
{
    private const string Path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    private static readonly PoolTransportLimits Limits = new() { ReadTimeout = TimeSpan.FromSeconds(1) };
    private readonly EchoHandler _handler = new() { RequestBudget = new PeerBudget(12_000) };
    private readonly List<IDisposable> _clients = [];
    private readonly List<PoolListener> _listeners = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        foreach (var listener in _listeners)
        {
            await listener.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100)]
    public async Task Requests_AnyNumber_HaveAsManyAnswersInOrder(int count)
    {
        var client = await ConnectAsync();

        var reply = await client.CallAsync(Path, Requests(count)).DefaultTimeout();

        reply.Status.Should().Be("0");
        Answers(reply).Select(answer => answer.ValidHost).Should().Equal(Enumerable.Range(0, count).Select(Host));
    }

    [Fact]
    public async Task Requests_LongerTogetherThanTheBudget_HoldOneMessageOfIt()
    {
        var client = await ConnectAsync();

        var reply = await client.CallAsync(Path, Requests(5, new string('x', 4_000))).DefaultTimeout();

        reply.Status.Should().Be("0");
        Answers(reply).Should().HaveCount(5);
        await TestTimeouts.UntilAsync(() => _handler.RequestBudget.Held == 0);
    }

    [Fact]
    public async Task Row07_ClientFallsSilentBetweenRequests_EndsThatCallOnly()
    {
        var client = await ConnectAsync();
        var silent = new StalledContent(Requests(2));

        var reply = await client.CallAsync(Path, silent).DefaultTimeout();

        reply.Status.Should().Be("4");
        reply.Text.Should().Contain("00:00:01");
        Answers(reply).Should().HaveCount(2);
        (await client.CallAsync(Path, Requests(1)).DefaultTimeout()).Status.Should().Be("0");
        _handler.ClosedCount.Should().Be(0);
        silent.End();
    }

    [Fact]
    public async Task Requests_EachCountsForTheRate()
    {
        var client = await ConnectAsync(new GrpcTransportSettings { Limits = Limits with { MaxRequestsPerSecond = 1 } });

        var reply = await client.CallAsync(Path, Requests(20), request => request.Headers.Add("grpc-timeout", "300m")).DefaultTimeout();

        reply.Status.Should().Be("4");
        Answers(reply).Should().HaveCountLessThan(20);
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0, 2, 255, 255 }, "3")]
    [InlineData(new byte[] { 0, 0, 0 }, "13")]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 }, "12")]
    [InlineData(new byte[] { 0, 255, 255, 255, 255 }, "8")]
    public async Task Row30_RequestThatIsNone_EndsTheCallAfterTheAnswersBefore(byte[] last, string status)
    {
        var client = await ConnectAsync();

        var reply = await client.CallAsync(Path, [.. Requests(2), .. last]).DefaultTimeout();

        reply.Status.Should().Be(status);
        Answers(reply).Should().HaveCount(2);
    }

    [Theory]
    [InlineData(null, "16")]
    [InlineData("0123456789abcdef", "0")]
    public async Task Call_AsksForTheTokenAsAllDo(string? token, string status)
    {
        var client = await ConnectAsync(new GrpcTransportSettings { Limits = Limits, AccessToken = "0123456789abcdef" });

        var reply = await client.CallAsync(Path, Requests(1), request => request.Headers.Add("authorization", token is null ? [] : [$"Bearer {token}"])).DefaultTimeout();

        reply.Status.Should().Be(status);
    }

    [Fact]
    public async Task Listener_StopsDuringACall_EndsIt()
    {
        var client = await ConnectAsync();
        var silent = new StalledContent(Requests(1));
        var call = client.CallAsync(Path, silent);
        await TestTimeouts.UntilAsync(() => _handler.Peers.Count == 1);

        await _listeners[0].DisposeAsync().AsTask().DefaultTimeout();

        silent.End();
        await call.Awaiting(c => c.DefaultTimeout()).Should().ThrowAsync<HttpRequestException>();
    }

    private static string Host(int index) => $"{index}";

    private static byte[] Requests(int count, string name = "") =>
        [.. Enumerable.Range(0, count).SelectMany(i => RawGrpcClient.Frame(new ServerReflectionRequest { Host = Host(i), FileByFilename = name }.ToByteArray()))];

    private static List<ServerReflectionResponse> Answers(RawGrpcReply reply)
    {
        var answers = new List<ServerReflectionResponse>();
        var rest = new System.Buffers.ReadOnlySequence<byte>(reply.Body);
        while (Wire.GrpcFrame.TryRead(ref rest, int.MaxValue, out var message))
        {
            answers.Add(ServerReflectionResponse.Parser.ParseFrom(message));
        }

        rest.IsEmpty.Should().BeTrue();
        return answers;
    }

    private async Task<RawGrpcClient> ConnectAsync(GrpcTransportSettings? settings = null)
    {
        settings ??= new GrpcTransportSettings { Limits = Limits };
        var listener = await new GrpcTransport("grpc", settings).BindAsync(new Uri("grpc://127.0.0.1:0"), _handler, default);
        _listeners.Add(listener);
        var client = new RawGrpcClient(listener.EndPoint);
        _clients.Add(client);
        return client;
    }
}
