namespace LpLlm.Memory;

/// <summary>The peer speaks another version, or sent what the protocol forbids.</summary>
/// <param name="endPoint">The server's address, as configured.</param>
/// <param name="message">What was wrong.</param>
/// <param name="innerException">The cause, if another exception was it.</param>
public sealed class PoolProtocolException(string endPoint, string message, Exception? innerException = null)
    : PoolTransportException(endPoint, message, innerException);
