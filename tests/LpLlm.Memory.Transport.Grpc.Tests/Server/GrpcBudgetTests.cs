using LpLlm.Memory.Transport.Server;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>What the requests of all connections may take together.</summary>
public sealed class GrpcBudgetTests : IAsyncLifetime, IDisposable
{
    private const string Renew = "/lpllm.memory.v1.Pool/Renew";
    private const string Acquire = "/lpllm.memory.v1.Pool/Acquire";
    private const string ResourceExhausted = "8";

    private readonly EchoHandler _handler = new() { RequestBudget = new PeerBudget(10_000) };
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

        (await client.CallAsync(Renew, RawGrpcClient.Frame(new byte[10_001])).DefaultTimeout()).Status.Should().Be(ResourceExhausted);

        (await client.CallAsync(Renew, RawGrpcClient.Frame(new byte[10_000])).DefaultTimeout()).Status.Should().Be("0");
        _handler.RequestBudget.Held.Should().Be(0);
    }

    [Fact]
    public async Task Call_WhileAnotherConnectionHoldsAll_IsServedAndTheOtherGoes()
    {
        var waiting = Client().CallAsync(Acquire, RawGrpcClient.Frame(new byte[9_000]));
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
        _handler.RequestBudget.Held.Should().Be(9_000);

        await giveUp.CancelAsync();

        await waiting.Awaiting(call => call.DefaultTimeout()).Should().ThrowAsync<OperationCanceledException>();
        await TestTimeouts.UntilAsync(() => _handler.RequestBudget.Held == 0);
    }

    private RawGrpcClient Client()
    {
        _clients.Add(new RawGrpcClient(_listener.EndPoint));
        return _clients[^1];
    }
}
