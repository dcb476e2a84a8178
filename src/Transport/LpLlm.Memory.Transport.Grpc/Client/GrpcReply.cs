using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using LpLlm.Memory.Transport.Grpc.Wire;

namespace LpLlm.Memory.Transport.Grpc.Client;

/// <summary>The answer to a call as it comes: messages, then the status.</summary>
internal sealed class GrpcReply : IAsyncDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly PipeReader _body;
    private readonly int _maxMessageBytes;

    private GrpcReply(HttpResponseMessage response, PipeReader body, int maxMessageBytes) =>
        (_response, _body, _maxMessageBytes) = (response, body, maxMessageBytes);

    /// <exception cref="PoolFaultException">The answer is an error, without any message.</exception>
    /// <exception cref="InvalidDataException">It is not gRPC.</exception>
    public static async ValueTask<GrpcReply> OpenAsync(HttpResponseMessage response, int maxMessageBytes, CancellationToken cancellationToken)
    {
        try
        {
            if (response.StatusCode != HttpStatusCode.OK || !GrpcNames.IsGrpc(response.Content.Headers.ContentType?.ToString()))
            {
                throw new InvalidDataException(
                    $"The answer is HTTP {(int)response.StatusCode} of type '{response.Content.Headers.ContentType}'; 200 of type '{GrpcNames.ContentType}' is expected.");
            }

            // "Trailers-only": the status of a call that failed at once is in the headers.
            ReadStatus(response.Headers)?.ThrowIfError();
            var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            return new GrpcReply(response, PipeReader.Create(body), maxMessageBytes);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>The next message, or null if the call has ended well.</summary>
    /// <exception cref="PoolFaultException">The call has ended with an error, or the message is longer than allowed.</exception>
    /// <exception cref="InvalidDataException">The stream ended without a status.</exception>
    public async ValueTask<byte[]?> ReadAsync(CancellationToken cancellationToken)
    {
        if (await GrpcFrame.ReadAsync(_body, _maxMessageBytes, announced: null, cancellationToken).ConfigureAwait(false) is { } message)
        {
            return message;
        }

        var status = ReadStatus(_response.TrailingHeaders) ?? ReadStatus(_response.Headers)
            ?? throw new InvalidDataException($"The answer ended without {GrpcNames.Status}.");
        status.ThrowIfError();
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        await _body.CompleteAsync().ConfigureAwait(false);
        _response.Dispose();
    }

    private static GrpcStatus? ReadStatus(HttpHeaders headers) =>
        GrpcStatus.Read(name => headers.TryGetValues(name, out var values) ? string.Join(',', values) : null);
}
