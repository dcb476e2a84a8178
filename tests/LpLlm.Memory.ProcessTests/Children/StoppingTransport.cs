using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Pipes;

namespace LpLlm.Memory.Tests.Children;

/// <summary>A pipe on which the first call of one kind stops for ever at one point, and says so on standard output: there the process is to be killed.</summary>
/// <param name="point"><c>before-send</c>, <c>after-send</c> (the reply is not waited for) or <c>replied</c> (it is here, and nobody has looked at it).</param>
/// <param name="method">The kind.</param>
internal sealed class StoppingTransport(string point, PoolMethod method) : PoolTransport
{
    private readonly PipeTransport _pipe = new();

    public override string Scheme => _pipe.Scheme;

    public override async ValueTask<PoolChannel> ConnectAsync(Uri endPoint, CancellationToken cancellationToken) =>
        new Channel(await _pipe.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false), this);

    public override ValueTask<PoolListener> BindAsync(Uri endPoint, IPoolConnectionHandler handler, CancellationToken cancellationToken) =>
        _pipe.BindAsync(endPoint, handler, cancellationToken);

    private async Task StopAtAsync(string here, PoolMethod called)
    {
        if ((here, called) == (point, method))
        {
            await Console.Out.WriteLineAsync($"stopped {here} {called}").ConfigureAwait(false);
            await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
        }
    }

    private sealed class Channel(PoolChannel pipe, StoppingTransport transport) : PoolChannel
    {
        public override Uri EndPoint => pipe.EndPoint;

        public override bool PassesFiles => pipe.PassesFiles;

        public override CancellationToken Closed => pipe.Closed;

        public override async ValueTask<PoolMessage> SendAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
        {
            await transport.StopAtAsync("before-send", method).ConfigureAwait(false);
            var call = pipe.SendAsync(method, request, cancellationToken); // written before it waits for anything
            await transport.StopAtAsync("after-send", method).ConfigureAwait(false);
            var reply = await call.ConfigureAwait(false);
            await transport.StopAtAsync("replied", method).ConfigureAwait(false);
            return reply;
        }

        public override IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, CancellationToken cancellationToken) =>
            pipe.WatchAsync(request, cancellationToken);

        public override ValueTask DisposeAsync() => pipe.DisposeAsync();
    }
}
