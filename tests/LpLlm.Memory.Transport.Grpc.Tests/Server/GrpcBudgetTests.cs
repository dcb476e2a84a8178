using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>What the requests of all connections may take together.</summary>
public sealed class GrpcBudgetTests : IAsyncLifetime, IDisposable
{
    private const string Renew = "/lpllm.memory.v1.Pool/Renew";
    private const string Acquire = "/lpllm.memory.v1.Pool/Acquire";
    private const string ResourceExhausted = "8";
    private const int MiB = 1 << 20;
    private const int AllBytes = 40_000;
    private const int HeaderBytes = 1_000; // there are some 300

    private readonly EchoHandler _handler = new() { RequestBudget = new PeerBudget(AllBytes) };
    private readonly List<RawGrpcClient> _clients = [];
    private PoolListener _listener = null!;

    public async Task InitializeAsync() =>
        _listener = await new GrpcTransport("grpc", new GrpcTransportSettings()).BindAsync(new Uri("grpc://127.0.0.1:0"), _handler, default);

    public async Task DisposeAsync() => await _listener.DisposeAsync();

    public void Dispose() => _clients.ForEach(client => client.Dispose());

    [Fact]
    public async Task Call_LongerThanAllMayBe_IsRefused_AndOthersAreNot()
    {
        var client = Client();

        (await client.CallAsync(Renew, RawGrpcClient.Frame(new byte[AllBytes])).DefaultTimeout()).Status.Should().Be(ResourceExhausted);

        (await client.CallAsync(Renew, RawGrpcClient.Frame(new byte[(AllBytes - HeaderBytes) / 2])).DefaultTimeout()).Status.Should().Be("0");
        _handler.RequestBudget.Held.Should().Be(0);
    }

    [Fact]
    public async Task Call_WhileAnotherConnectionHoldsAll_IsServedAndTheOtherGoes()
    {
        var waiting = Client().CallAsync(Acquire, RawGrpcClient.Frame(new byte[AllBytes - HeaderBytes]));
        await _handler.Waiting.Task.DefaultTimeout();

        var reply = await Client().CallAsync(Renew, RawGrpcClient.Frame(new byte[4_000])).DefaultTimeout();

        reply.Status.Should().Be("0");
        await waiting.Awaiting(call => call.DefaultTimeout()).Should().ThrowAsync<HttpRequestException>();
        await _handler.Cancelled.Task.DefaultTimeout();
    }

    [Fact]
    public async Task Call_ThatTheCallerGivesUp_GivesItsRoomBack()
    {
        using var giveUp = new CancellationTokenSource();
        var waiting = Client().CallAsync(Acquire, new ByteArrayContent(RawGrpcClient.Frame(new byte[9_000])), cancellationToken: giveUp.Token);
        await _handler.Waiting.Task.DefaultTimeout();
        _handler.RequestBudget.Held.Should().BeInRange(9_000, 9_000 + HeaderBytes);

        await giveUp.CancelAsync();

        await waiting.Awaiting(call => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await TestTimeouts.UntilAsync(() => _handler.RequestBudget.Held == 0);
    }

    [Fact]
    public async Task Call_ItsHeaders_CountAsLongAsItLasts()
    {
        using var giveUp = new CancellationTokenSource();
        var waiting = Client().CallAsync(
            Acquire, new ByteArrayContent(RawGrpcClient.Frame()), request => request.Headers.Add("x-long", new string('x', 8_000)), giveUp.Token);
        await _handler.Waiting.Task.DefaultTimeout();

        _handler.RequestBudget.Held.Should().BeInRange(16_000, 16_000 + HeaderBytes, "a character has two bytes in memory");

        await giveUp.CancelAsync();
        await waiting.Awaiting(call => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await TestTimeouts.UntilAsync(() => _handler.RequestBudget.Held == 0);
    }

    /// <summary>Else a client with many connections could make the server keep replies of 64 MiB each that it never reads.</summary>
    [Fact]
    public async Task LongReply_ThatIsNotRead_CountsAndIsGivenUpForOthers()
    {
        var limits = new PoolTransportLimits { MaxMessageBytes = 16 * MiB, MaxUnsentBytes = 16 * MiB, ReadTimeout = TimeSpan.FromMinutes(1) };
        var handler = new EchoHandler { RequestBudget = new PeerBudget(30 * MiB) };
        await using var listener = await new GrpcTransport("grpc", new GrpcTransportSettings { Limits = limits }).BindAsync(new Uri("grpc://127.0.0.1:0"), handler, default);
        using var unread = await Client(listener).SendAsync(Renew, new ByteArrayContent(RawGrpcClient.Frame(new byte[12 * MiB]))).DefaultTimeout();
        await TestTimeouts.UntilAsync(() => handler.RequestBudget.Held > 24 * MiB); // request and reply

        var reply = await Client(listener).CallAsync(Renew, RawGrpcClient.Frame(new byte[4 * MiB])).DefaultTimeout();

        reply.Status.Should().Be("0");
        await unread.Content.Awaiting(content => content.ReadAsByteArrayAsync().DefaultTimeout()).Should().ThrowAsync<HttpRequestException>();
        await TestTimeouts.UntilAsync(() => handler.RequestBudget.Held == 0);
    }

    [Theory]
    [InlineData(1, 1 * MiB)]
    [InlineData(128, 1 * MiB)]
    [InlineData(512, MiB / 4)]
    [InlineData(1024, MiB / 8)]
    [InlineData(100_000, MiB / 8)]
    public void Buffers_OfAllConnections_AreAsMuchAsTheBudgetUpToTheDefaultNumber(int connections, int bufferBytes)
    {
        KestrelSettings.BufferBytes(connections).Should().Be(bufferBytes);
        (2L * bufferBytes * Math.Min(connections, 1024)).Should().BeLessThanOrEqualTo(256L * MiB);
    }

    private RawGrpcClient Client(PoolListener? listener = null)
    {
        _clients.Add(new RawGrpcClient((listener ?? _listener).EndPoint));
        return _clients[^1];
    }
}
