namespace LpLlm.Memory.Transport.Grpc.Wire;

/// <summary>Names and values of gRPC over HTTP/2, and of this library's own.</summary>
internal static class GrpcNames
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";
    public const string AcceptEncoding = "grpc-accept-encoding";

    /// <summary>Binary headers are base64 and end in -bin.</summary>
    public const string ErrorData = "lpllm-error-bin";

    public const string PoolService = "lpllm.memory.v1.Pool";
    public const string HealthService = "grpc.health.v1.Health";

    private static readonly string[] PoolPaths = [.. Enumerable.Range(0, 1 + (int)Enum.GetValues<PoolMethod>().Max()).Select(static m => $"/{PoolService}/{(PoolMethod)m}")];

    public static string PathOf(PoolMethod method) => PoolPaths[(int)method];

    /// <summary><c>application/grpc</c>, and with <c>+proto</c> or parameters behind it; not <c>application/grpc-web</c>.</summary>
    public static bool IsGrpc(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';');
}
