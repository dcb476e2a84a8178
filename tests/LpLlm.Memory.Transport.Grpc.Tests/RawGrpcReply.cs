using System.Net;
using System.Net.Http.Headers;

namespace LpLlm.Memory.Transport.Grpc;

/// <summary>What came back, taken apart.</summary>
internal sealed record RawGrpcReply(HttpStatusCode Http, HttpResponseHeaders Headers, HttpResponseHeaders Trailers, byte[] Body)
{
    /// <summary>The status, wherever it is.</summary>
    public string? Status => Value(Trailers, "grpc-status") ?? Value(Headers, "grpc-status");

    public bool IsTrailersOnly => Value(Headers, "grpc-status") is not null;

    public string? Text => Uri.UnescapeDataString(Value(Trailers, "grpc-message") ?? Value(Headers, "grpc-message") ?? "");

    public string? Header(string name) => Value(Headers, name);

    private static string? Value(HttpResponseHeaders headers, string name) => headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;
}
