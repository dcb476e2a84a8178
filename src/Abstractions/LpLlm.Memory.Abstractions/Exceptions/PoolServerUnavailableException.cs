namespace LpLlm.Memory;

/// <summary>The pool server cannot be reached now. Leases already held stay usable.</summary>
/// <param name="endPoint">The server's address, as configured.</param>
/// <param name="message">What failed and what to do.</param>
/// <param name="innerException">The cause, if another exception was it.</param>
public sealed class PoolServerUnavailableException(string endPoint, string message, Exception? innerException = null)
    : PoolTransportException(endPoint, message, innerException)
{
    /// <summary>Always true: the server may come back.</summary>
    public override bool IsTransient => true;
}
