namespace LpLlm.Memory;

/// <summary>The server understood the request and refused it.</summary>
/// <param name="endPoint">The server's address, as configured.</param>
/// <param name="code">The server's error code.</param>
/// <param name="message">The server's reason.</param>
public sealed class PoolRequestRejectedException(string endPoint, int code, string message)
    : PoolTransportException(endPoint, $"{message} (code {code})")
{
    /// <summary>The server's error code.</summary>
    public int Code { get; } = code;
}
