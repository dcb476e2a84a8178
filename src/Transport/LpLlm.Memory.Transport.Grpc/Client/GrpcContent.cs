using System.Net;
using System.Net.Http.Headers;
using LpLlm.Memory.Transport.Grpc.Wire;

namespace LpLlm.Memory.Transport.Grpc.Client;

/// <summary>One message as the body of a request.</summary>
internal sealed class GrpcContent : HttpContent
{
    private readonly ReadOnlyMemory<byte> _message;

    public GrpcContent(ReadOnlyMemory<byte> message)
    {
        _message = message;
        Headers.ContentType = new MediaTypeHeaderValue(GrpcNames.ContentType);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, default);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var header = new byte[GrpcFrame.HeaderLength];
        GrpcFrame.WriteHeader(header, _message.Length);
        await stream.WriteAsync(header, cancellationToken).ConfigureAwait(false);
        await stream.WriteAsync(_message, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>gRPC's bodies are streams: their length is not announced.</summary>
    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
