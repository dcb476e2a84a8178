using Google.Protobuf;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Daemon.Admin;

/// <summary>A client that asks a daemon for its books.</summary>
internal sealed class PoolAdmin : IAsyncDisposable
{
    private readonly PoolChannel _channel;
    private readonly ByteString _session;

    private PoolAdmin(PoolChannel channel, ByteString session)
    {
        _channel = channel;
        _session = session;
    }

    public static async Task<PoolAdmin> ConnectAsync(PoolTransport transport, Uri endPoint, CancellationToken cancellationToken)
    {
        var channel = await transport.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
        try
        {
            var hello = new HelloRequest { MinVersion = PoolProtocol.Version, MaxVersion = PoolProtocol.Version, ClientName = "sllm-store" };
            var reply = await SendAsync(channel, PoolMethod.Hello, hello, HelloReply.Parser, cancellationToken).ConfigureAwait(false);
            return new PoolAdmin(channel, reply.Session);
        }
        catch
        {
            await channel.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task<DaemonStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        var request = new StatisticsRequest { Session = _session };
        return DaemonStatus.Of(
            _channel.EndPoint,
            await SendAsync(_channel, PoolMethod.Statistics, request, StatisticsReply.Parser, cancellationToken).ConfigureAwait(false));
    }

    /// <returns>The leases, and how many more there are for which the answer had no room.</returns>
    public async Task<(IReadOnlyList<DaemonLease> Leases, int Omitted)> GetLeasesAsync(CancellationToken cancellationToken)
    {
        var request = new ListRequest { Session = _session };
        var reply = await SendAsync(_channel, PoolMethod.List, request, ListReply.Parser, cancellationToken).ConfigureAwait(false);
        return ([.. reply.Leases.Select(DaemonLease.Of)], reply.Omitted);
    }

    public Task RevokeAsync(ulong leaseId, string reason, CancellationToken cancellationToken) => SendAsync(
        _channel, PoolMethod.Revoke, new RevokeRequest { Session = _session, LeaseId = leaseId, Reason = reason }, RevokeReply.Parser, cancellationToken);

    /// <returns>The models, and how many more there are for which the answer had no room.</returns>
    public async Task<(IReadOnlyList<DaemonModel> Models, int Omitted)> GetModelsAsync(CancellationToken cancellationToken)
    {
        var request = new ListModelsRequest { Session = _session };
        var reply = await SendAsync(_channel, PoolMethod.ListModels, request, ListModelsReply.Parser, cancellationToken).ConfigureAwait(false);
        return ([.. reply.Models.Select(DaemonModel.Of)], reply.Omitted);
    }

    /// <summary>Waits as long as it takes: the daemon is asked again each time its patience ends.</summary>
    /// <returns>The model, and whether it was in memory before.</returns>
    public async Task<(DaemonModel Model, bool WasLoaded)> LoadAsync(string model, CancellationToken cancellationToken)
    {
        var request = new LoadModelRequest { Session = _session, Model = model, TimeoutMs = 60_000 };
        for (var first = true; ; first = false)
        {
            try
            {
                var reply = await SendAsync(_channel, PoolMethod.LoadModel, request, LoadModelReply.Parser, cancellationToken).ConfigureAwait(false);
                return (DaemonModel.Of(reply.Model), first && reply.WasLoaded);
            }
            catch (PoolFaultException late) when (late.Code == PoolFaultCode.DeadlineExceeded)
            {
                // It loads.
            }
        }
    }

    public Task UnloadAsync(string model, CancellationToken cancellationToken) => SendAsync(
        _channel, PoolMethod.UnloadModel, new UnloadModelRequest { Session = _session, Model = model }, UnloadModelReply.Parser, cancellationToken);

    public ValueTask DisposeAsync() => _channel.DisposeAsync();

    private static async Task<T> SendAsync<T>(
        PoolChannel channel, PoolMethod method, IMessage request, MessageParser<T> parser, CancellationToken cancellationToken)
        where T : IMessage<T>
    {
        using var message = new PoolMessage(request.ToByteArray());
        using var reply = await channel.SendAsync(method, message, cancellationToken).ConfigureAwait(false);
        return parser.ParseFrom(reply.Payload.Span);
    }
}
