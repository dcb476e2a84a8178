using Google.Protobuf;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Server;

/// <summary>
/// One client's calls, a refused one among them, before anybody is told that the server is there. It loads and compiles what a request and an error
/// need: without descriptors left, the runtime could not load an assembly any more and would end the process.
/// </summary>
internal static class ServerWarmUp
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    /// <exception cref="PinnedMemoryException">The server cannot be reached at its own end point.</exception>
    public static async Task RunAsync(PoolTransport transport, Uri endPoint, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await CallAsync(transport, endPoint, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PoolServerUnavailableException(
                endPoint.ToString(), $"The server did not answer a first call of its own within {Deadline.TotalSeconds:0} s. The machine may be overloaded.");
        }
        catch (PoolFaultException refusal)
        {
            throw new PoolServerUnavailableException(endPoint.ToString(), $"The server refused a first call of its own: {refusal.Message}", refusal);
        }
    }

    private static async Task CallAsync(PoolTransport transport, Uri endPoint, CancellationToken cancellationToken)
    {
        var channel = await transport.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
        await using (channel.ConfigureAwait(false))
        {
            var hello = new HelloRequest { MinVersion = PoolProtocol.Version, MaxVersion = PoolProtocol.Version, ClientName = "warm-up" };
            var session = HelloReply.Parser.ParseFrom(await SendAsync(channel, PoolMethod.Hello, hello, cancellationToken).ConfigureAwait(false)).Session;
            await SendAsync(channel, PoolMethod.Statistics, new StatisticsRequest { Session = session }, cancellationToken).ConfigureAwait(false);
            try
            {
                await SendAsync(channel, PoolMethod.Inspect, new InspectRequest { Session = session }, cancellationToken).ConfigureAwait(false);
            }
            catch (PoolFaultException refusal) when (refusal.Code == PoolFaultCode.NotFound)
            {
                // As it should be: there is no lease yet.
            }

            await SendAsync(channel, PoolMethod.Release, new ReleaseRequest { Session = session, Goodbye = true }, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<byte[]> SendAsync(PoolChannel channel, PoolMethod method, IMessage request, CancellationToken cancellationToken)
    {
        using var message = new PoolMessage(request.ToByteArray());
        using var reply = await channel.SendAsync(method, message, cancellationToken).ConfigureAwait(false);
        return reply.Payload.ToArray();
    }
}
