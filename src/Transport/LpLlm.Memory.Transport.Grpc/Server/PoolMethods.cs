using System.Runtime.CompilerServices;
using Google.Protobuf.Reflection;
using LpLlm.Memory.Transport.Grpc.Wire;
using LpLlm.Memory.Transport.Messages;

namespace LpLlm.Memory.Transport.Grpc.Server;

/// <summary>The pool server's own calls, <c>/lpllm.memory.v1.Pool/…</c>.</summary>
internal sealed class PoolMethods : IGrpcService
{
    public ServiceDescriptor Descriptor => PoolReflection.Descriptor.Services[0];

    public IEnumerable<KeyValuePair<string, GrpcMethod>> Methods => Enum.GetValues<PoolMethod>().Select(static method => KeyValuePair.Create(
        GrpcNames.PathOf(method),
        method == PoolMethod.Watch
            ? new GrpcMethod(WatchAsync, IsStream: true)
            : GrpcMethod.Unary((connection, request, token) => HandleAsync(connection, method, request, token))));

    private static async ValueTask<ReadOnlyMemory<byte>> HandleAsync(
        GrpcConnection connection, PoolMethod method, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        var reply = await connection.Pool!.HandleAsync(method, new PoolMessage(request), cancellationToken).ConfigureAwait(false);
        return Payload(reply);
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> WatchAsync(
        GrpcConnection connection, ReadOnlyMemory<byte> request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var message in connection.Pool!.WatchAsync(new PoolMessage(request), cancellationToken).ConfigureAwait(false))
        {
            yield return Payload(message);
        }
    }

    private static ReadOnlyMemory<byte> Payload(PoolMessage reply)
    {
        using var hold = reply.Hold; // There are no descriptors to duplicate.
        return reply.Files.Count == 0
            ? reply.Payload
            : throw new InvalidOperationException("HTTP/2 carries no descriptors: the peer's PassesFiles says so.");
    }
}
