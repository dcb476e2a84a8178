using Google.Protobuf;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>A call that the listener hosts: one request (or a stream, <see cref="TakesMany"/>), and one reply or a stream of them. Faults are thrown.</summary>
/// <param name="Replies">The replies; a unary call has exactly one.</param>
/// <param name="IsStream">Whether replies are sent as they come, with any number of them.</param>
internal sealed record GrpcMethod(Func<GrpcConnection, ReadOnlyMemory<byte>, CancellationToken, IAsyncEnumerable<ReadOnlyMemory<byte>>> Replies, bool IsStream)
{
    /// <summary>Whether the client sends any number of requests; each is answered before the next is read.</summary>
    public bool TakesMany { get; init; }

    /// <summary>Messages at least this long are allowed, where the listener's limit is lower; such calls run one at a time on a connection.</summary>
    public int MinMessageBytes { get; init; }

    public static GrpcMethod Unary(Func<GrpcConnection, ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>> handler) =>
        new((connection, request, token) => Single(handler(connection, request, token)), IsStream: false);

    public static GrpcMethod Unary<TRequest, TReply>(
        MessageParser<TRequest> parser, Func<GrpcConnection, TRequest, CancellationToken, ValueTask<TReply>> handler)
        where TRequest : IMessage<TRequest>
        where TReply : IMessage<TReply> =>
        Unary(async (connection, request, token) => (await handler(connection, Parse(parser, request), token).ConfigureAwait(false)).ToByteArray());

    public static TRequest Parse<TRequest>(MessageParser<TRequest> parser, ReadOnlyMemory<byte> request)
        where TRequest : IMessage<TRequest>
    {
        try
        {
            return parser.ParseFrom(request.Span);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new PoolFaultException(PoolFaultCode.InvalidArgument, $"The request is not a {typeof(TRequest).Name}: {e.Message}");
        }
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Single(ValueTask<ReadOnlyMemory<byte>> reply)
    {
        yield return await reply.ConfigureAwait(false);
    }
}
