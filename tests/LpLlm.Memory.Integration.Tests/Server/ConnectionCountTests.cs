using LpLlm.Memory.Server;
using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Tests.Server;

public class ConnectionCountTests
{
    [Fact]
    public async Task WaitForNone_CompletesWithTheLastConnectionOfAnotherProcess()
    {
        var count = new ConnectionCount(engine: null!, models: null, new Server(), new PoolTransportLimits());
        _ = count.Accept(new PoolPeer { Description = "own", IsThisProcess = true });
        await count.WaitForNoneAsync().DefaultTimeout();
        var first = count.Accept(new PoolPeer { Description = "one" });
        var second = count.Accept(new PoolPeer { Description = "two" });

        var none = count.WaitForNoneAsync();
        first.Closed();
        none.IsCompleted.Should().BeFalse();
        second.Closed();

        await none.DefaultTimeout();
        await count.WaitForNoneAsync().DefaultTimeout();
    }

    [Fact]
    public void Closed_ServerFails_IsCountedAllTheSame()
    {
        var count = new ConnectionCount(engine: null!, models: null, new Server { Fails = true }, new PoolTransportLimits());
        var connection = count.Accept(new PoolPeer { Description = "one" });

        connection.Invoking(c => c.Closed()).Should().Throw<InvalidOperationException>();

        count.WaitForNoneAsync().IsCompleted.Should().BeTrue();
    }

    private sealed class Server : IPoolConnectionHandler, IPoolConnection
    {
        public bool Fails { get; init; }

        public IPoolConnection Accept(PoolPeer peer) => this;

        public ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Closed()
        {
            if (Fails)
            {
                throw new InvalidOperationException("This was told to fail.");
            }
        }
    }
}
