using Google.Protobuf;
using LpLlm.Memory.Transport;
using LpLlm.Memory.Transport.Messages;
using LpLlm.Memory.Transport.Pipes;
using Microsoft.Win32.SafeHandles;

namespace LpLlm.Memory.Tests.Children;

/// <summary>The bare protocol over a pipe, one call at a time: what the library's client hides, and what a hostile one would send.</summary>
internal sealed class ProtocolClient(PoolChannel channel) : IAsyncDisposable
{
    public ByteString Session { get; private set; } = ByteString.Empty;

    public CancellationToken Closed => channel.Closed;

    public static async Task<ProtocolClient> ConnectAsync(Uri endPoint) =>
        new(await new PipeTransport().ConnectAsync(endPoint, CancellationToken.None).DefaultTimeout());

    public static async Task<ProtocolClient> OpenAsync(Uri endPoint, string name = "test")
    {
        var client = await ConnectAsync(endPoint);
        try
        {
            await client.HelloAsync(name);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    public async Task<HelloReply> HelloAsync(string name, ByteString? session = null)
    {
        var request = new HelloRequest { MinVersion = 1, MaxVersion = 1, ClientName = name, Session = session ?? ByteString.Empty };
        var reply = await CallAsync(PoolMethod.Hello, request, HelloReply.Parser);
        Session = reply.Session;
        return reply;
    }

    public Task<StatisticsReply> GetStatisticsAsync(bool withEvents = false) =>
        CallAsync(PoolMethod.Statistics, new StatisticsRequest { Session = Session, WithEvents = withEvents }, StatisticsReply.Parser);

    public async Task<IReadOnlyList<LeaseSummary>> ListAsync() =>
        (await CallAsync(PoolMethod.List, new ListRequest { Session = Session }, ListReply.Parser)).Leases;

    /// <returns>The lease, and the descriptors of its segments.</returns>
    public Task<(Lease Lease, SafeFileHandle[] Files)> AcquireAsync(long lengthBytes, long timeoutMs = 0, byte[]? requestId = null) => LeaseAsync(
        PoolMethod.Acquire,
        new AcquireRequest { Session = Session, RequestId = Id(requestId), LengthBytes = lengthBytes, TimeoutMs = timeoutMs });

    public Task<(Lease Lease, SafeFileHandle[] Files)> GrowAsync(ulong lease, long lengthBytes, byte[]? requestId = null) => LeaseAsync(
        PoolMethod.Grow, new GrowRequest { Session = Session, RequestId = Id(requestId), LeaseId = lease, LengthBytes = lengthBytes });

    public Task<(Lease Lease, SafeFileHandle[] Files)> AttachAsync(ByteString token) =>
        LeaseAsync(PoolMethod.Attach, new AttachRequest { Session = Session, LeaseToken = token });

    public Task<(Lease Lease, SafeFileHandle[] Files)> RestoreAsync(ByteString token, IEnumerable<long> lengths, SafeFileHandle[] files)
    {
        var request = new RestoreRequest { Session = Session, LeaseToken = token };
        request.SegmentLengths.AddRange(lengths);
        return LeaseAsync(PoolMethod.Restore, request, files);
    }

    public Task ShrinkAsync(ulong lease, params ulong[] segments)
    {
        var request = new ShrinkRequest { Session = Session, LeaseId = lease };
        request.SegmentIds.AddRange(segments);
        return CallAsync(PoolMethod.Shrink, request, ShrinkReply.Parser);
    }

    public Task ReleaseAsync(ulong lease) =>
        CallAsync(PoolMethod.Release, new ReleaseRequest { Session = Session, LeaseId = lease }, ReleaseReply.Parser);

    public Task<WatchEvent> WatchAsync(Action<WatchEvent> happened) => Task.Run(async () =>
    {
        var last = new WatchEvent();
        await foreach (var message in channel.WatchAsync(Message(new WatchRequest { Session = Session }), CancellationToken.None))
        {
            happened(last = WatchEvent.Parser.ParseFrom(message.Payload.Span));
        }

        return last;
    });

    /// <summary>A call whose reply has no descriptors; on a hang it fails after 30 s.</summary>
    public async Task<T> CallAsync<T>(PoolMethod method, IMessage request, MessageParser<T> parser)
        where T : IMessage<T>
    {
        using var reply = await channel.SendAsync(method, Message(request), CancellationToken.None).DefaultTimeout();
        return parser.ParseFrom(reply.Payload.Span);
    }

    public ValueTask DisposeAsync() => channel.DisposeAsync();

    private static PoolMessage Message(IMessage message, params SafeFileHandle[] files) => new(message.ToByteArray(), files);

    private static ByteString Id(byte[]? id) => ByteString.CopyFrom(id ?? Token.Create().ToBytes());

    private async Task<(Lease Lease, SafeFileHandle[] Files)> LeaseAsync(PoolMethod method, IMessage request, params SafeFileHandle[] files)
    {
        using var reply = await channel.SendAsync(method, Message(request, files), CancellationToken.None).DefaultTimeout();
        return (LeaseReply.Parser.ParseFrom(reply.Payload.Span).Lease, reply.TakeFiles());
    }
}
