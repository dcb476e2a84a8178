using System.Net.Sockets;

namespace LpLlm.Memory.Transport.Grpc.Client;

/// <summary>What the failures of <see cref="SocketsHttpHandler"/> mean to a pool's client.</summary>
internal static class GrpcFailure
{
    /// <summary>HTTP/2's codes of a peer that ends or cuts a stream without anyone's fault: NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM.</summary>
    private static readonly HashSet<long> Transient = [0, 2, 7, 8, 11];

    /// <param name="failure">The failure.</param>
    /// <param name="endPoint">The server's.</param>
    /// <param name="hasAnswered">Whether the server has spoken gRPC before: then a breach of HTTP/2 is that of a dying connection (unanswered pings are one).</param>
    public static PoolTransportException Of(Exception failure, Uri endPoint, bool hasAnswered)
    {
        var chain = Chain(failure).ToList();
        if (chain.OfType<PoolProtocolException>().FirstOrDefault() is { } known)
        {
            return new PoolProtocolException(endPoint.ToString(), known.Message, failure);
        }

        var isProtocol = chain.Any(e => e is InvalidDataException) || (!hasAnswered && chain.Any(IsBreach));
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

    /// <summary>A disposed stream within a handshake: a server spoke before it was its turn, and what it said was no HTTP/2.</summary>
    private static bool IsBreach(Exception failure) => failure switch
    {
        HttpProtocolException e => !Transient.Contains(e.ErrorCode),
        HttpIOException e => e.HttpRequestError is HttpRequestError.InvalidResponse,
        HttpRequestException e => e.HttpRequestError is HttpRequestError.VersionNegotiationError or HttpRequestError.InvalidResponse,
        ObjectDisposedException => true,
        _ => false,
    };

    private static IEnumerable<Exception> Chain(Exception? failure)
    {
        for (; failure is not null; failure = failure.InnerException)
        {
            yield return failure;
        }
    }
}
