using LpLlm.Memory.Transport;

namespace LpLlm.Memory.Benchmarks.RoundTrips;

/// <summary>A transport as pools use it, with a server that only echoes.</summary>
internal sealed class TransportRoundTrip(string name, PoolListener listener, PoolChannel channel) : IRoundTrip
{
    private readonly PoolMessage _request = new(new byte[RoundTripRun.MessageBytes]);

    public string Name => name;

    public static async ValueTask<IRoundTrip> OpenAsync(string name, PoolTransport transport, string endPoint)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var listener = await transport.BindAsync(new Uri(endPoint), new EchoServer(), deadline.Token);
        return new TransportRoundTrip(name, listener, await transport.ConnectAsync(listener.EndPoint, deadline.Token));
    }

    public async ValueTask SendAndReceiveAsync()
    {
        using var reply = await channel.SendAsync(PoolMethod.Renew, _request, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await channel.DisposeAsync();
        await listener.DisposeAsync();
    }
}
