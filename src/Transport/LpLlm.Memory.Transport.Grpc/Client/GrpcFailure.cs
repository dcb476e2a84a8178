using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Grpc.Client;

/// <summary>What the failures of <see cref="SocketsHttpHandler"/> mean to a pool's client.</summary>
internal static class GrpcFailure
{
    /// <summary>HTTP/2's codes of a peer that ends or cuts a stream without anyone's fault: NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM.</summary>
    private static readonly HashSet<long> Transient = [0, 2, 7, 8, 11];

    public static PoolTransportException Of(Exception failure, Uri endPoint)
    {
        var chain = Chain(failure).ToList();
        var http2 = chain.OfType<HttpProtocolException>().FirstOrDefault();
        var isProtocol = http2 is not null
            ? !Transient.Contains(http2.ErrorCode)
            : chain.Any(e => e is InvalidDataException
                || e is HttpRequestException { HttpRequestError: HttpRequestError.HttpProtocolError or HttpRequestError.VersionNegotiationError or HttpRequestError.InvalidResponse }
                || e is HttpIOException { HttpRequestError: HttpRequestError.HttpProtocolError or HttpRequestError.InvalidResponse });
        if (isProtocol)
        {
            return new PoolProtocolException(endPoint.ToString(), $"What listens there does not speak gRPC as expected: {chain[^1].Message}", failure);
        }

        var cause = chain.OfType<SocketException>().FirstOrDefault()?.SocketErrorCode switch
        {
            SocketError.ConnectionRefused or SocketError.AddressNotAvailable => "Nobody listens there; start sllm-store.",
            _ => $"The connection failed: {chain[^1].Message}",
        };
        return new PoolServerUnavailableException(endPoint.ToString(), cause, failure);
    }

    private static IEnumerable<Exception> Chain(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            yield return failure;
        }
    }
}
