using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Engine;
using LpLlm.Memory.Transport.Grpc.Messages.Storage;
using LpLlm.Memory.Transport.Grpc.Server;
using Microsoft.Extensions.Logging;

namespace LpLlm.Memory.Transport.Grpc.Storage;

/// <summary>The original's contract, <c>storage.Storage</c>: pools. Its unmodified clients share memory with this server.</summary>
/// <remarks>
/// A client gets one segment and the path of its memory file. Where the answer has fields for failure, what a client may meet in good order
/// (no room, unknown) goes there; wrong arguments are statuses with details. <c>device_id</c> is checked and not used. Allocations are whole chunks:
/// clients compute addresses as index × chunk size, so that a shorter last one would lead them past their memory's end.
/// </remarks>
internal sealed class StorageService : IGrpcService, IAsyncDisposable
{
    /// <summary>What a message has beside its data: ids and numbers.</summary>
    private const int MessageOverheadBytes = 1 << 10;

    private readonly PoolEngine _engine;
    private readonly StorageSettings _settings;
    private readonly StorageClients _clients;
    private readonly ILogger _logger;

    public StorageService(PoolEngine engine, StorageSettings settings, TimeProvider time, ILogger logger) =>
        (_engine, _settings, _logger, _clients) = (engine, settings, logger, new StorageClients(engine, time, logger));

    public ServiceDescriptor Descriptor => StorageReflection.Descriptor.Services[0];

    public IEnumerable<KeyValuePair<string, GrpcMethod>> Methods =>
    [
        Method("AllocatePoolMemory", AllocatePoolMemoryRequest.Parser, AllocatePoolMemoryAsync),
        Method("FreePoolMemory", FreePoolMemoryRequest.Parser, FreePoolMemoryAsync),
        Method("AllocateFromPool", AllocateFromPoolRequest.Parser, AllocateFromPoolAsync),
        Method("FreeFromPool", FreeFromPoolRequest.Parser, FreeFromPoolAsync),
        Copy(Method("CopyToPool", CopyToPoolRequest.Parser, CopyToPoolAsync)),
        Copy(Method("CopyFromPool", CopyFromPoolRequest.Parser, CopyFromPoolAsync)),
    ];

    private int ChunkBytes => _settings.ChunkBytesOf(_engine.Settings);

    /// <summary>A chunk in one message, as long as a message may be at all.</summary>
    private int MaxCopyBytes => Math.Min(ChunkBytes, 64 << 20);

    public ValueTask DisposeAsync() => _clients.DisposeAsync();

    private KeyValuePair<string, GrpcMethod> Method<TRequest, TReply>(
        string name, MessageParser<TRequest> parser, Func<GrpcConnection, TRequest, CancellationToken, ValueTask<TReply>> handler)
        where TRequest : IMessage<TRequest>
        where TReply : IMessage<TReply> =>
        new($"/{Descriptor.FullName}/{name}", GrpcMethod.Unary(parser, handler));

    private KeyValuePair<string, GrpcMethod> Copy(KeyValuePair<string, GrpcMethod> method) =>
        new(method.Key, method.Value with { MinMessageBytes = MaxCopyBytes + MessageOverheadBytes });

    private ValueTask<AllocatePoolMemoryResponse> AllocatePoolMemoryAsync(
        GrpcConnection connection, AllocatePoolMemoryRequest request, CancellationToken cancellationToken)
    {
        if (request.SizeMb < 0)
        {
            throw Invalid($"size_mb is {request.SizeMb}; it must be positive, or 0 for a quarter of the pool.");
        }

        if (request.DeviceId < 0)
        {
            throw Invalid($"device_id is {request.DeviceId}; it must not be negative. Host memory is the same for every device.");
        }

        return _clients.UseAsync(
            connection,
            Checked(request.ClientId),
            create: true,
            async (client, holder) =>
            {
                if (client.SizeMb == 0)
                {
                    await LeaseAsync(client, holder, request.SizeMb, cancellationToken).ConfigureAwait(false);
                    GrpcLog.StorageLeased(_logger, request.ClientId, connection.Peer.Description, client.SizeBytes);
                }
                else if (_engine.Inspect(client.LeaseId, holder.Session).Summary.State is LeaseState.Revoked)
                {
                    throw new PoolFaultException(PoolFaultCode.Aborted, "The memory was taken away by the server's operator; call FreePoolMemory, then allocate anew.");
                }

                return Describe(client);
            },
            static () => throw new InvalidOperationException("A client that is to be made is never missing."),
            cancellationToken);
    }

    private async Task LeaseAsync(StorageClient client, StorageHolder holder, int sizeMb, CancellationToken cancellationToken)
    {
        var size = sizeMb > 0 ? sizeMb : (int)Math.Min(_engine.Settings.MaxPoolBytes / 4 >> 20, int.MaxValue);
        if (size == 0)
        {
            throw Invalid($"size_mb is 0, and a quarter of the pool ({_engine.Settings.MaxPoolBytes} B) is less than 1 MiB; give a size.");
        }

        var grant = await _engine.AcquireAsync(
            holder.Session,
            new AcquireOptions { LengthBytes = (long)size << 20, RequestId = Token.Create(), SingleSegment = true, Name = client.Key.ClientId },
            cancellationToken).ConfigureAwait(false);
        holder.Grant = grant;
        (client.LeaseId, client.LeaseToken, client.SizeMb) = (grant.LeaseId, grant.Token, size);
        client.Segment = grant.Segments.Single().Segment;
        client.ChunkBytes = (int)Math.Min(ChunkBytes, client.SizeBytes);
        client.Chunks = new ChunkSet((int)Math.Min(client.SizeBytes / client.ChunkBytes, int.MaxValue));
    }

    /// <summary>The handle is what the original's client parses: the text of a Python tuple, of which it maps the second item as a file.</summary>
    private static AllocatePoolMemoryResponse Describe(StorageClient client)
    {
        var path = client.Segment!.Path;
        return new AllocatePoolMemoryResponse
        {
            ClientId = client.Key.ClientId,
            SizeMb = client.SizeMb,
            SizeBytes = client.SizeBytes,
            SharedMemoryPath = path,
            MemoryHandles = { ByteString.CopyFromUtf8(string.Create(CultureInfo.InvariantCulture, $"(b'', b'{path}', {client.SizeBytes})")) },
        };
    }

    private ValueTask<FreePoolMemoryResponse> FreePoolMemoryAsync(GrpcConnection connection, FreePoolMemoryRequest request, CancellationToken cancellationToken) =>
        _clients.UseAsync(
            connection,
            Checked(request.ClientId),
            create: false,
            (client, _) =>
            {
                _clients.Free(client);
                return ValueTask.FromResult(new FreePoolMemoryResponse { Success = true });
            },
            static () => new FreePoolMemoryResponse(),
            cancellationToken);

    private ValueTask<AllocateFromPoolResponse> AllocateFromPoolAsync(
        GrpcConnection connection, AllocateFromPoolRequest request, CancellationToken cancellationToken)
    {
        if (request.SizeKb <= 0)
        {
            throw Invalid($"size_kb is {request.SizeKb}; it must be positive.");
        }

        return _clients.UseAsync(
            connection,
            Checked(request.ClientId),
            create: false,
            (client, _) =>
            {
                // 2^31 KiB are 2 TiB: they fit a long.
                var count = (((long)request.SizeKb << 10) + client.ChunkBytes - 1) / client.ChunkBytes;
                var response = new AllocateFromPoolResponse { ChunkSize = client.ChunkBytes };
                if (client.Chunks.Allocate(count) is { } allocation)
                {
                    (response.Success, response.AllocationId) = (true, allocation.Id);
                    response.ChunkIndices.Add(allocation.Chunks);
                }
                else
                {
                    var tail = client.SizeBytes % client.ChunkBytes;
                    response.ErrorMessage =
                        $"{request.SizeKb} KiB take {count} chunks of {client.ChunkBytes} B; of the {client.Chunks.ChunkCount} in the client's {client.SizeMb} MiB {client.Chunks.FreeCount} are free."
                        + (tail > 0 ? $" Its last {tail} B are no whole chunk, and are never handed out." : "");
                }

                return ValueTask.FromResult(response);
            },
            () => new AllocateFromPoolResponse { ChunkSize = ChunkBytes, ErrorMessage = Unknown(request.ClientId) },
            cancellationToken);
    }

    private ValueTask<FreeFromPoolResponse> FreeFromPoolAsync(GrpcConnection connection, FreeFromPoolRequest request, CancellationToken cancellationToken) =>
        _clients.UseAsync(
            connection,
            Checked(request.ClientId),
            create: false,
            (client, _) => ValueTask.FromResult(client.Chunks.Free(request.AllocationId)
                ? new FreeFromPoolResponse { Success = true }
                : new FreeFromPoolResponse { ErrorMessage = UnknownAllocation(request.AllocationId) }),
            () => new FreeFromPoolResponse { ErrorMessage = Unknown(request.ClientId) },
            cancellationToken);

    private ValueTask<CopyToPoolResponse> CopyToPoolAsync(GrpcConnection connection, CopyToPoolRequest request, CancellationToken cancellationToken) =>
        CopyAsync(
            connection,
            request.ClientId,
            client =>
            {
                var data = request.Data.Span;
                foreach (var piece in Range(client, request.AllocationId, request.ChunkOffset, data.Length))
                {
                    SharedCopy.Write(AddressOf(client, piece), data[..piece.LengthBytes]);
                    data = data[piece.LengthBytes..];
                }

                return new CopyToPoolResponse { Success = true };
            },
            cancellationToken);

    private ValueTask<CopyFromPoolResponse> CopyFromPoolAsync(GrpcConnection connection, CopyFromPoolRequest request, CancellationToken cancellationToken)
    {
        if (request.Size > MaxCopyBytes)
        {
            throw new PoolFaultException(PoolFaultCode.ResourceExhausted, $"size is {request.Size}; one answer holds at most {MaxCopyBytes} B. Copy in parts.");
        }

        return CopyAsync(
            connection,
            request.ClientId,
            client =>
            {
                var pieces = Range(client, request.AllocationId, request.ChunkOffset, request.Size);
                var data = new byte[request.Size];
                var rest = data.AsSpan();
                foreach (var piece in pieces)
                {
                    SharedCopy.Read(AddressOf(client, piece), rest[..piece.LengthBytes]);
                    rest = rest[piece.LengthBytes..];
                }

                return new CopyFromPoolResponse { Success = true, Data = UnsafeByteOperations.UnsafeWrap(data) };
            },
            cancellationToken);
    }

    private ValueTask<T> CopyAsync<T>(GrpcConnection connection, string clientId, Func<StorageClient, T> copy, CancellationToken cancellationToken) =>
        _clients.UseAsync(
            connection,
            Checked(clientId),
            create: false,
            (client, _) => ValueTask.FromResult(copy(client)),
            () => throw new PoolFaultException(PoolFaultCode.NotFound, Unknown(clientId)),
            cancellationToken);

    private static List<StorageRange> Range(StorageClient client, int allocationId, int offset, int lengthBytes) => StorageRange.Split(
        client.Chunks.Find(allocationId) ?? throw new PoolFaultException(PoolFaultCode.NotFound, UnknownAllocation(allocationId)),
        client.ChunkBytes,
        offset,
        lengthBytes);

    /// <summary>The client writes there as it likes, in its own process: the bytes are copied, never understood.</summary>
    private static nint AddressOf(StorageClient client, StorageRange range) =>
        range.OffsetBytes + range.LengthBytes <= client.Segment!.LengthBytes
            ? client.Segment.Address + (nint)range.OffsetBytes
            : throw new InvalidOperationException($"Bytes {range.OffsetBytes} to {range.OffsetBytes + range.LengthBytes} are outside the segment.");

    /// <summary>It is logged and listed: what would steer a terminal is refused.</summary>
    private static string Checked(string clientId) => clientId.Length is > 0 and <= PoolProtocol.MaxTextLength && !clientId.Any(char.IsControl)
        ? clientId
        : throw Invalid($"client_id has {clientId.Length} characters, or control characters; 1 to {PoolProtocol.MaxTextLength} others are expected.");

    private static PoolFaultException Invalid(string text) => new(PoolFaultCode.InvalidArgument, text);

    private static string Unknown(string clientId) => $"Client '{clientId}' has no memory here; call AllocatePoolMemory first.";

    private static string UnknownAllocation(int id) => $"Allocation {id} is not one of this client's.";
}
