using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Google.Protobuf;
using LpLlm.Memory.Devices;
using LpLlm.Memory.Transport.Devices;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Messages;
using LpLlm.Memory.Transport.Models;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Server;

/// <summary>One connection: at most one session at a time, opened by its first call. This part dispatches; the others answer.</summary>
/// <remarks>
/// Whatever a client sends, it gets an answer or a <see cref="PoolFaultException"/>. A session's token works on the connection only that said hello
/// with it, so that one process cannot speak for another even if it has learnt the token.
/// </remarks>
internal sealed partial class PoolServiceConnection(
    PoolEngine engine, IModelService? models, DeviceCopyService copies, PoolServicePolicy policy, PoolPeer peer, ILogger logger, TimeProvider time)
    : IPoolConnection
{
    private readonly Lock _gate = new();
    private PoolSession? _session;
    private bool _closed;

    private bool IsAdministrator => peer.UserId is { } user && (user == 0 || user == policy.OwnUserId);

    public async ValueTask<PoolMessage> HandleAsync(PoolMethod method, PoolMessage request, CancellationToken cancellationToken)
    {
        using (request)
        {
            if (request.Files.Count > 0 && method != PoolMethod.Restore)
            {
                throw FaultCodec.Invalid($"{request.Files.Count} descriptors came with {method}: only Restore takes any.");
            }

            try
            {
                return method switch
                {
                    PoolMethod.Hello => Hello(Parse(HelloRequest.Parser, request)),
                    PoolMethod.Acquire => await AcquireAsync(Parse(AcquireRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.Grow => await GrowAsync(Parse(GrowRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.Shrink => Shrink(Parse(ShrinkRequest.Parser, request)),
                    PoolMethod.Release => Release(Parse(ReleaseRequest.Parser, request)),
                    PoolMethod.Withdraw => Withdraw(Parse(WithdrawRequest.Parser, request)),
                    PoolMethod.Attach => Attach(Parse(AttachRequest.Parser, request)),
                    PoolMethod.Restore => await RestoreAsync(Parse(RestoreRequest.Parser, request), request, cancellationToken).ConfigureAwait(false),
                    PoolMethod.Renew => Renew(Parse(RenewRequest.Parser, request)),
                    PoolMethod.List => List(Parse(ListRequest.Parser, request)),
                    PoolMethod.Inspect => Inspect(Parse(InspectRequest.Parser, request)),
                    PoolMethod.Revoke => Revoke(Parse(RevokeRequest.Parser, request)),
                    PoolMethod.Statistics => Statistics(Parse(StatisticsRequest.Parser, request)),
                    PoolMethod.CopyToDevice =>
                        await CopyAsync(CopyDirection.ToDevice, Parse(DeviceCopyRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.CopyFromDevice =>
                        await CopyAsync(CopyDirection.ToHost, Parse(DeviceCopyRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.OpenModel => await OpenModelAsync(Parse(OpenModelRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.CloseModel => CloseModel(Parse(CloseModelRequest.Parser, request)),
                    PoolMethod.GetModelIndex => GetModelIndex(Parse(GetModelIndexRequest.Parser, request)),
                    PoolMethod.ListModels => ListModels(Parse(ListModelsRequest.Parser, request)),
                    PoolMethod.LoadModel => await LoadModelAsync(Parse(LoadModelRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    PoolMethod.UnloadModel => await UnloadModelAsync(Parse(UnloadModelRequest.Parser, request), cancellationToken).ConfigureAwait(false),
                    _ => throw new PoolFaultException(PoolFaultCode.Unimplemented, $"This server knows no call {method} that has one reply."),
                };
            }
            catch (MemorySourceException refusal)
            {
                throw EngineFaults.Exhausted(ExhaustionCause.NoMemory, refusal.Message, refusal.Remedy, refusal.RequestedBytes);
            }
            catch (PoolFaultException fault) when (fault.Code == PoolFaultCode.NotFound && fault.Data.IsEmpty && IsSessionGone())
            {
                throw UnknownSession(); // it went while the call ran: the client is to say hello again, not to give up its lease
            }
        }
    }

    public async IAsyncEnumerable<PoolMessage> WatchAsync(PoolMessage request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        PoolSession session;
        using (request)
        {
            session = SessionOf(Parse(WatchRequest.Parser, request).Session);
        }

        await foreach (var happened in engine.WatchAsync(session, cancellationToken).ConfigureAwait(false))
        {
            yield return new PoolMessage(Replies.Event(happened).ToByteArray());
        }
    }

    public void Closed()
    {
        PoolSession? session;
        lock (_gate)
        {
            _closed = true;
            session = _session;
            _session = null;
        }

        if (session is not null)
        {
            engine.Disconnect(session);
        }
    }

    private static T Parse<T>(MessageParser<T> parser, PoolMessage request)
        where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(request.Payload.Span);
        }
        catch (InvalidProtocolBufferException malformed)
        {
            throw FaultCodec.Invalid($"The {parser.GetType().GenericTypeArguments[0].Name} is malformed: {malformed.Message}");
        }
    }

    private static PoolMessage Reply(IMessage message) => new(message.ToByteArray());

    private PoolSession? CurrentSession()
    {
        lock (_gate)
        {
            return _session;
        }
    }

    private bool IsSessionGone() => CurrentSession() is not { } session || engine.Find(session.Token) != session;

    private PoolSession SessionOf(ByteString token)
    {
        // Compared in constant time, and with this connection's session only: nothing can be learnt about others' tokens.
        var session = CurrentSession();
        return session is not null
            && token.Length == Token.LengthBytes
            && CryptographicOperations.FixedTimeEquals(session.Token.ToBytes(), token.Span)
            && engine.Find(session.Token) == session
            ? session
            : throw UnknownSession();
    }

    private PoolFaultException UnknownSession() => FaultCodec.Fault(
        PoolFaultCode.NotFound,
        "No such session on this connection: say hello first, and again after the server's restart or a missed heartbeat.",
        new ErrorData { Epoch = ByteString.CopyFrom(engine.Epoch.ToBytes()) });
}
